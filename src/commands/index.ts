import { brokerStatus } from './broker/status.ts'
import { brokerStop } from './broker/stop.ts'
import { cache } from './cache/cache.ts'
import { complete } from './completion/complete.ts'
import { completion } from './completion/completion.ts'
import type { CommandSection } from './definition.ts'
import { copyImageCommand } from './docker/copy-image.ts'
import { df } from './docker/df.ts'
import { contextSync } from './docker/context.ts'
import { env } from './docker/env.ts'
import { events } from './docker/events.ts'
import { history } from './docker/history.ts'
import { images } from './docker/images.ts'
import { inspectContainers, inspectImages } from './docker/inspect.ts'
import { layers } from './docker/layers.ts'
import { logs } from './docker/logs.ts'
import { passThrough } from './docker/pass-through.ts'
import { ps } from './docker/ps.ts'
import { stats } from './docker/stats.ts'
import { exportCommands } from './export/index.ts'
import { importCommands } from './import/index.ts'
import { active } from './machines/active.ts'
import { allow } from './machines/allow.ts'
import { operatorAdd } from './operator/add.ts'
import { operatorLs } from './operator/ls.ts'
import { operatorRm } from './operator/rm.ts'
import { adopt } from './machines/adopt.ts'
import { check } from './machines/check.ts'
import { apply } from './machines/apply.ts'
import { cp } from './machines/cp.ts'
import { create } from './machines/create.ts'
import { gc } from './machines/gc.ts'
import { init } from './machines/init.ts'
import { inspect } from './machines/inspect.ts'
import { ip } from './machines/ip.ts'
import { label } from './machines/label.ts'
import { ls } from './machines/ls.ts'
import { merge } from './machines/merge.ts'
import { plan } from './machines/plan.ts'
import { refresh } from './machines/refresh.ts'
import { rename } from './machines/rename.ts'
import { set } from './machines/set.ts'
import { status } from './machines/status.ts'
import { powerCommands } from './machines/power.ts'
import { provision } from './machines/provision.ts'
import { rekey } from './machines/rekey.ts'
import { forget, rm } from './machines/rm.ts'
import { sshConfig } from './machines/ssh-config.ts'
import { snapshot } from './machines/snapshot.ts'
import { ssh } from './machines/ssh.ts'
import { use } from './machines/use.ts'
import { trustAdd } from './trust/add.ts'
import { trustInventory } from './trust/inventory.ts'
import { trustLs } from './trust/ls.ts'
import { trustRm } from './trust/rm.ts'

/** Verbs of `fleet container` that docker itself carries out. */
const containerVerbs = [
  ['run', 'Create and start a container'],
  ['exec', 'Run a command in a container'],
  ['create', 'Create a container'],
  ['start', 'Start containers'],
  ['stop', 'Stop containers'],
  ['restart', 'Restart containers'],
  ['kill', 'Kill containers'],
  ['pause', 'Pause containers'],
  ['unpause', 'Let paused containers go on'],
  ['rm', 'Remove containers'],
  ['prune', 'Remove stopped containers'],
  ['rename', 'Rename a container'],
  ['update', 'Change the limits of containers'],
  ['attach', 'Attach to a container'],
  ['wait', 'Wait until containers stop'],
  ['top', 'Show the processes of a container'],
  ['port', 'Show the ports of a container'],
  ['diff', 'Show what a container changed in its files'],
  ['cp', 'Copy files to or from a container'],
  ['commit', 'Make an image of a container'],
  ['export', 'Write the files of a container as a tar archive'],
] as const

/** Verbs of `fleet image` that docker itself carries out. */
const imageVerbs = [
  ['build', 'Build an image from a Dockerfile'],
  ['pull', 'Pull an image from a registry'],
  ['push', 'Push an image to a registry'],
  ['tag', 'Give an image another name'],
  ['rm', 'Remove images'],
  ['prune', 'Remove unused images'],
  ['save', 'Write images as a tar archive'],
  ['load', 'Read images from a tar archive'],
  ['import', 'Make an image of a tar archive of files'],
] as const

/** Everything a person can type, in the order of `fleet --help`. */
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
      ls,
      status,
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
        summary: 'Who is let in on machines',
        commands: [operatorAdd, operatorRm, operatorLs],
      },
      ssh,
      sshConfig,
      exportCommands,
      cp,
      rekey,
      ...powerCommands,
      snapshot,
      rm,
      forget,
      gc,
    ],
  },
  {
    title: 'Containers and images',
    entries: [
      ps,
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
        summary: 'Everything about containers',
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
        summary: 'Everything about images',
        commands: [
          { ...images, name: 'ls', aliases: ['list'] },
          inspectImages,
          history,
          layers,
          copyImageCommand,
          ...imageVerbs.map(([verb, summary]) => passThrough(verb, ['image', verb], summary)),
        ],
      },
      env,
      {
        name: 'context',
        summary: 'Machines as contexts of docker',
        commands: [contextSync],
      },
      passThrough('docker', [], 'Run any docker command'),
      passThrough('compose', ['compose'], 'Run docker compose'),
    ],
  },
  {
    title: 'Set-up',
    entries: [
      {
        name: 'broker',
        summary: 'The background process that keeps connections warm',
        commands: [brokerStatus, brokerStop],
      },
      {
        name: 'trust',
        summary: 'Choose which drivers and inventories of others to trust',
        commands: [trustAdd, trustInventory, trustLs, trustRm],
        default: trustAdd.name,
      },
      cache,
      completion,
      complete,
    ],
  },
]
