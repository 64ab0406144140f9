import { isDeepStrictEqual } from 'node:util'
import { UserError, exitCodes } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { UpgradedEngine } from '../../operations/provision/upgrade-engine.ts'
import type { EngineUpgrade } from '../../provision/engine/upgrade-packages.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, machinesArgument, parsed } from '../command.ts'
import { chooseNamed } from '../multi/choose-named.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import { parseCount } from '../options/numbers.ts'
import { drainOptions, openMembers } from '../swarm/open-members.ts'

const describeUpgrade = ({ name }: Machine, { package: engine, from, to }: EngineUpgrade): string =>
  `${name}: upgrade ${engine} ${from} -> ${to}\n`

/** Checks that a text is a version or the first part of one, because it becomes an argument of a script. */
function parseVersion(version: string): string {
  if (/^\d(?:[\w.~+-]*\w)?$/.test(version)) return version
  throw new UserError('usage', `${JSON.stringify(version)} is not a Docker version`, {
    hint: 'for example: --to 28.2, for the newest 28.2.x',
  })
}

export const upgrade = defineCommand({
  name: 'upgrade',
  summary: 'Upgrade Docker on machines',
  description:
    'Upgrade the Docker engine to the newest version in its package source: the Linux distribution, or the Docker repository channel that it was installed from. fleet shows the versions and asks for confirmation, then upgrades one host at a time and stops at the first failure. Containers that were running are started again; if one of them is not running or is unhealthy afterwards, the upgrade fails. Engines are never downgraded, and packages on hold are not upgraded. Swarm nodes are drained first and become active again afterwards; managers are upgraded one at a time, and fleet refuses to interrupt a majority of them.',
  arguments: { names: machinesArgument('machine names', 'required') },
  options: {
    to: parsed('--to <version>', 'version to upgrade to, or a prefix such as 28.2', parseVersion),
    batch: parsed(
      '--batch <count>',
      'number of hosts to upgrade at the same time (default: 1)',
      (count) => parseCount(count, 1),
    ),
    ...drainOptions,
    yes: yesOption,
  },
  targets: 'many',
  answers: 'json',
  examples: [
    'fleet upgrade web-1',
    'fleet upgrade --on role=web --batch 2',
    'fleet upgrade web-1 --to 28.2',
  ],
  async run({ fleet, io, options, targets, format }) {
    const context = { fleet, io, format }
    const { upgradeMachine } = await import('../../operations/provision/upgrade-engine.ts')
    const machines = await chooseNamed({ fleet, targets }, 'upgrade')
    const plans = new Map<Machine, EngineUpgrade>()
    const seen = await workOnMachines(
      context,
      machines,
      (machine, { progress, signal }) =>
        upgradeMachine(fleet.with({ signal }), machine, options.to, {
          progress,
          async approve(found) {
            plans.set(machine, found)
            return false
          },
        }),
      { concurrency: targets.parallel },
    )
    const { failed } = summarize(context, seen)
    if (failed.length > 0) {
      if (!format.json) io.stderr.write('no engines were upgraded\n')
      return exitCodes.failed
    }
    const waiting = machines.filter((machine) => plans.has(machine))
    const results = new Map<string, UpgradedEngine>(
      seen.flatMap((outcome) =>
        'value' in outcome && !plans.has(outcome.machine)
          ? [[outcome.machine.name, outcome.value]]
          : [],
      ),
    )
    let code = exitCodes.ok as number
    if (waiting.length > 0) {
      const text = waiting
        .map((machine) => describeUpgrade(machine, plans.get(machine) as EngineUpgrade))
        .join('')
      if (format.json) {
        const upgrades = waiting.map((machine) => ({
          machine: machine.name,
          ...plans.get(machine),
        }))
        io.stderr.write(`${JSON.stringify({ event: 'plan', upgrades })}\n`)
      }
      const question = 'Upgrade these engines and restart their containers?'
      await requireConsent(io, options.yes, question, format.json ? '' : text)
      const interrupted = waiting.map((machine) => ({ machine, interruption: 'restart' }) as const)
      await using members = await openMembers({ fleet }, interrupted, options, { rolling: true })
      const done = await workOnMachines(
        context,
        waiting,
        (machine, calls) => {
          const work = () =>
            upgradeMachine(fleet.with({ signal: calls.signal }), machine, options.to, {
              progress: calls.progress,
              refreshed: true,
              async approve(found) {
                if (isDeepStrictEqual(found, plans.get(machine))) return true
                throw new UserError(
                  'failed',
                  'the packages have changed since you confirmed the upgrade',
                  {
                    machine: machine.name,
                    hint: 'run the command again',
                  },
                )
              },
            })
          return members === undefined ? work() : members.restart(machine, calls, work)
        },
        { concurrency: options.batch ?? 1, maxFail: 1, throwsAlone: false },
      )
      const summary = summarize(context, done)
      code = summary.code
      for (const outcome of done) {
        if ('value' in outcome) results.set(outcome.machine.name, outcome.value)
      }
      const left = waiting.filter((machine) => done.every((outcome) => outcome.machine !== machine))
      if (left.length > 0 && !format.json) {
        const names = left.map(({ name }) => name).join(', ')
        io.stderr.write(`${names}: not upgraded, because another upgrade failed\n`)
      }
    }
    const rows = machines.flatMap(({ name }) => {
      const result = results.get(name)
      return result === undefined ? [] : [{ name, ...result }]
    })
    if (format.json) writeJson(io, rows)
    else {
      for (const { name, from, to } of rows) {
        const what =
          from === to ? `Docker ${to} is already the newest version` : `Docker ${from} -> ${to}`
        io.stderr.write(`${name}: ${what}\n`)
      }
    }
    return code
  },
})
