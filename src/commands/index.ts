import { brokerStatus } from './broker/status.ts'
import { brokerStop } from './broker/stop.ts'
import { cache } from './cache/cache.ts'
import { complete } from './completion/complete.ts'
import { completion } from './completion/completion.ts'
import type { CommandSection } from './command.ts'
import { copyImageCommand } from './image/copy-image.ts'
import { df } from './image/df.ts'
import { doctor } from './doctor/doctor.ts'
import { contextSync } from './docker-cli/context.ts'
import { env } from './docker-cli/env.ts'
import { events } from './container/events.ts'
import { history } from './image/history.ts'
import { images } from './image/images.ts'
import { inspectContainers, inspectImages } from './container/inspect.ts'
import { layers } from './image/layers.ts'
import { logs } from './container/logs.ts'
import { config, url } from './docker-cli/url.ts'
import { passThrough } from './docker-cli/pass-through.ts'
import { ps } from './container/ps.ts'
import { network } from './network/network.ts'
import { registry } from './registry/registry.ts'
import { pruneSystem } from './system/prune.ts'
import { volume } from './volume/volume.ts'
import { stats } from './container/stats.ts'
import { exportCommands } from './export/index.ts'
import { importCommands } from './import/index.ts'
import { active } from './machine/active.ts'
import { allow } from './machine/allow.ts'
import { operatorAdd } from './operator/add.ts'
import { operatorLs } from './operator/ls.ts'
import { operatorRm } from './operator/rm.ts'
import { adopt } from './machine/adopt.ts'
import { check } from './inventory/check.ts'
import { apply } from './inventory/apply.ts'
import { cp } from './machine/cp.ts'
import { mount, sftp } from './machine/mount.ts'
import { create } from './machine/create/create.ts'
import { gc } from './machine/gc.ts'
import { init } from './inventory/init.ts'
import { inspect } from './machine/inspect.ts'
import { ip } from './machine/ip.ts'
import { label } from './inventory/label.ts'
import { ls } from './machine/ls.ts'
import { merge } from './inventory/merge.ts'
import { plan } from './inventory/plan.ts'
import { refresh } from './inventory/refresh.ts'
import { rename } from './inventory/rename.ts'
import { set } from './inventory/set.ts'
import { status } from './machine/status.ts'
import { deploy } from './stack/deploy.ts'
import { powerCommands } from './machine/power.ts'
import { provision } from './machine/provision.ts'
import { upgrade } from './machine/upgrade.ts'
import { rekey } from './machine/rekey.ts'
import { forget, rm } from './machine/rm.ts'
import { sshConfig } from './machine/ssh-config.ts'
import { snapshot } from './machine/snapshot.ts'
import { ssh } from './machine/ssh.ts'
import { stackCommands } from './stack/index.ts'
import { serviceCommands } from './service/index.ts'
import { swarmCommands } from './swarm/index.ts'
import { ls as forwardLs } from './forward/ls.ts'
import { start as forwardStart } from './forward/start.ts'
import { stop as forwardStop } from './forward/stop.ts'
import { top } from './top/top.ts'
import { use } from './machine/use.ts'
import { where } from './container/where.ts'
import { trustAdd } from './trust/add.ts'
import { trustAlias } from './trust/alias.ts'
import { trustInventory } from './trust/inventory.ts'
import { trustLs } from './trust/ls.ts'
import { trustRm } from './trust/rm.ts'

/** Commands of `fleet container` that are passed to docker. */
const containerVerbs = [
  ['run', 'Create and start a container'],
  ['exec', 'Run a command in a container'],
  ['create', 'Create a container'],
  ['start', 'Start containers'],
  ['stop', 'Stop containers'],
  ['restart', 'Restart containers'],
  ['kill', 'Kill containers'],
  ['pause', 'Pause containers'],
  ['unpause', 'Resume paused containers'],
  ['rm', 'Remove containers'],
  ['prune', 'Remove stopped containers'],
  ['rename', 'Rename a container'],
  ['update', 'Change container resource limits'],
  ['attach', 'Attach to a container'],
  ['wait', 'Wait until containers stop'],
  ['top', 'Show processes running in a container'],
  ['port', "Show a container's published ports"],
  ['diff', 'Show changed files in a container'],
  ['cp', 'Copy files to or from a container'],
  ['commit', 'Create an image from a container'],
  ['export', "Export a container's files as a tar archive"],
] as const

/** Commands of `fleet image` that are passed to docker. */
const imageVerbs = [
  ['build', 'Build an image from a Dockerfile'],
  ['pull', 'Pull an image from a registry'],
  ['push', 'Push an image to a registry'],
  ['tag', 'Add a tag to an image'],
  ['rm', 'Remove images'],
  ['prune', 'Remove unused images'],
  ['save', 'Save images to a tar archive'],
  ['load', 'Load images from a tar archive'],
  ['import', 'Create an image from a tar archive'],
] as const

/** All commands. */
export const commandList: readonly CommandSection[] = [
  {
    title: 'Machines',
    entries: [
      init,
      check,
      merge,
      create,
      adopt,
      importCommands,
      provision,
      upgrade,
      ls,
      status,
      top,
      doctor,
      inspect,
      use,
      active,
      ip,
      label,
      set,
      allow,
      rename,
      plan,
      apply,
      refresh,
      {
        name: 'operator',
        summary: 'Manage operators and their SSH keys',
        commands: [operatorAdd, operatorRm, operatorLs],
      },
      ssh,
      sshConfig,
      exportCommands,
      {
        name: 'forward',
        summary: 'Forward local ports to machines and containers',
        commands: [forwardStart, forwardLs, forwardStop],
        default: forwardStart.name,
      },
      cp,
      mount,
      rekey,
      ...powerCommands,
      snapshot,
      rm,
      forget,
      gc,
    ],
  },
  {
    title: 'Stacks and swarms',
    entries: [deploy, stackCommands, swarmCommands, serviceCommands],
  },
  {
    title: 'Containers and images',
    entries: [
      ps,
      where,
      passThrough('run', ['run'], 'Create and start a container'),
      passThrough('exec', ['exec'], 'Run a command in a container'),
      logs,
      stats,
      events,
      images,
      passThrough('build', ['build'], 'Build an image from a Dockerfile'),
      passThrough('pull', ['pull'], 'Pull an image from a registry'),
      passThrough('push', ['push'], 'Push an image to a registry'),
      history,
      df,
      {
        name: 'container',
        summary: 'Manage containers',
        commands: [
          { ...ps, name: 'ls', aliases: ['ps', 'list'] },
          inspectContainers,
          logs,
          stats,
          ...containerVerbs.map(([verb, summary]) =>
            passThrough(verb, ['container', verb], summary),
          ),
        ],
      },
      {
        name: 'image',
        summary: 'Manage images',
        commands: [
          { ...images, name: 'ls', aliases: ['list'] },
          inspectImages,
          history,
          layers,
          copyImageCommand,
          ...imageVerbs.map(([verb, summary]) => passThrough(verb, ['image', verb], summary)),
        ],
      },
      volume,
      network,
      {
        name: 'system',
        summary: 'Manage Docker data',
        commands: [
          df,
          events,
          passThrough('info', ['system', 'info'], 'Show information about Docker'),
          pruneSystem,
        ],
      },
      registry,
      env,
      url,
      config,
      {
        name: 'context',
        summary: 'Manage Docker contexts for machines',
        commands: [contextSync],
      },
      passThrough('docker', [], 'Run any docker command'),
      passThrough('compose', ['compose'], 'Run docker compose'),
    ],
  },
  {
    title: 'fleet itself',
    entries: [
      {
        name: 'broker',
        summary: 'Manage the process that keeps SSH connections open',
        commands: [brokerStatus, brokerStop],
      },
      {
        name: 'trust',
        summary: 'Manage trusted drivers, paths, aliases and variables',
        commands: [trustAdd, trustAlias, trustInventory, trustLs, trustRm],
        default: trustAdd.name,
      },
      cache,
      completion,
      complete,
      sftp,
    ],
  },
]
