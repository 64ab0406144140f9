import { type MachineCheck, type Verdict, fail, machineChecks, skip } from './check.ts'
import {
  judgeBanner,
  judgeHost,
  judgeHostKey,
  judgeLogin,
  judgeMtu,
  judgeName,
  judgePort,
  judgeRoute,
  judgeSessions,
  judgeShell,
} from './judge-connection.ts'
import { judgeBroker, judgeCompose, judgeEngine, judgeSocket } from './judge-engine.ts'
import { judgeClock, judgeCloudInit, judgeDisk, judgeHome, judgeSudo } from './judge-host.ts'
import { onHost } from './judge-connection.ts'
import type { Observation } from './observation.ts'

type Name = MachineCheck['check']

/** The function that judges a check, and the other checks that must not have failed for the result to be meaningful. */
interface Judge {
  readonly needs: readonly Name[]
  readonly judge: (observation: Observation) => Verdict
}

const judges: Readonly<Record<Name, Judge>> = {
  host: { needs: [], judge: judgeHost },
  name: { needs: ['host'], judge: judgeName },
  route: { needs: ['host', 'name'], judge: judgeRoute },
  port: { needs: ['route'], judge: judgePort },
  banner: { needs: ['port'], judge: judgeBanner },
  'host-key': { needs: ['banner'], judge: judgeHostKey },
  login: { needs: ['host-key'], judge: judgeLogin },
  shell: { needs: ['login'], judge: judgeShell },
  mtu: { needs: ['shell'], judge: judgeMtu },
  sessions: { needs: ['mtu'], judge: judgeSessions },
  clock: { needs: ['mtu'], judge: judgeClock },
  home: { needs: ['mtu'], judge: judgeHome },
  sudo: { needs: ['mtu'], judge: judgeSudo },
  'cloud-init': { needs: ['mtu'], judge: judgeCloudInit },
  disk: { needs: ['mtu'], judge: judgeDisk },
  socket: { needs: ['mtu', 'sudo'], judge: judgeSocket },
  engine: { needs: ['mtu', 'socket'], judge: judgeEngine },
  compose: { needs: ['mtu'], judge: judgeCompose },
  broker: { needs: ['mtu'], judge: judgeBroker },
}

/**
 * Checks whose failure can explain the failures of others: a full disk stops an engine and leaves no space in the home
 * directory.
 */
const causes: readonly (readonly [cause: Name, symptoms: readonly Name[]])[] = [
  ['disk', ['engine', 'home', 'cloud-init']],
  ['cloud-init', ['engine', 'socket', 'sudo', 'compose']],
  ['engine', ['compose']],
]

/** Patterns that match names of parts of the host script, each with the check that the part belongs to. */
const hungParts: readonly (readonly [part: RegExp, check: Name])[] = [
  [/login shell|user database|account/, 'shell'],
  [/home directory/, 'home'],
  [/^sudo$/, 'sudo'],
  [/time service/, 'clock'],
  [/cloud-init/, 'cloud-init'],
  [/file system/, 'disk'],
  [/socket/, 'socket'],
  [/^the engine$/, 'engine'],
  [/compose/, 'compose'],
]

/** The verdict for a check if its part of the host script did not complete. */
function hangingPart(observation: Observation, check: Name): Verdict | undefined {
  const part = observation.facts?.hungAt
  if (part === undefined) return undefined
  const [, hung] = hungParts.find(([pattern]) => pattern.test(part)) ?? [undefined, 'shell']
  if (hung !== check) return undefined
  return fail(`checking ${part} timed out on the host`, onHost(observation, 'dmesg | tail'))
}

/**
 * Judges every check of a machine. A check is skipped if it depends on a failed check, or if another failure explains
 * its failure, so that each cause is reported only once.
 */
export function judgeMachine(observation: Observation): readonly MachineCheck[] {
  const found = new Map<Name, Verdict>()
  /** The failed check that caused each skipped check to be skipped. */
  const blockedBy = new Map<Name, Name>()
  for (const check of machineChecks) {
    const { needs, judge } = judges[check]
    const failed = needs.find((name) => found.get(name)?.state === 'fail' || blockedBy.has(name))
    if (failed === undefined) {
      found.set(check, hangingPart(observation, check) ?? judge(observation))
      continue
    }
    const cause = blockedBy.get(failed) ?? failed
    blockedBy.set(check, cause)
    found.set(check, skip(`the check "${cause}" did not pass`))
  }
  for (const [cause, symptoms] of causes) {
    if (found.get(cause)?.state !== 'fail') continue
    for (const symptom of symptoms) {
      if (found.get(symptom)?.state === 'fail')
        found.set(symptom, skip(`caused by the failed check "${cause}"`))
    }
  }
  return machineChecks.map((check) => ({ check, ...(found.get(check) ?? skip('not checked')) }))
}

/** The first failed check of a jump host, to be reported for the machines that use this host. */
export function firstFailure(checks: readonly MachineCheck[]): MachineCheck | undefined {
  return checks.find(({ state }) => state === 'fail')
}
