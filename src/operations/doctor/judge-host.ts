import { quoteForHost, shellQuote } from '../../os/shell-quote.ts'
import { type Verdict, fail, ok, skip, warn } from './check.ts'
import type { Room } from './host-script.ts'
import { onHost } from './judge-connection.ts'
import type { Observation } from './observation.ts'

/**
 * The clock differences, in seconds, that cause a warning and a failure. TLS and cloud APIs reject a difference of 5
 * minutes.
 */
const [clockWarning, clockFailure] = [30, 300]

/**
 * The minimum number of seconds by which the host's clock is ahead of this computer's, or negative if it is behind;
 * undefined if the host's clock was not read.
 */
export function clockOffset({ facts, asked }: Observation): number | undefined {
  if (facts?.clock === undefined || asked === undefined) return undefined
  // The host prints the time rounded down to whole seconds.
  if (facts.clock + 1 < asked.from) return facts.clock + 1 - asked.from
  if (facts.clock > asked.to) return facts.clock - asked.to
  return 0
}

function durationText(seconds: number): string {
  const rounded = Math.round(seconds)
  if (rounded < 120) return `${rounded} s`
  if (rounded < 7_200) return `${Math.round(rounded / 60)} min`
  if (rounded < 172_800) return `${Math.round(rounded / 3_600)} h`
  return `${Math.round(rounded / 86_400)} days`
}

export function judgeClock(observation: Observation): Verdict {
  const { isLocal, facts } = observation
  if (isLocal) return skip('the host is this computer')
  const offset = clockOffset(observation)
  if (offset === undefined) return skip('the host did not report its time')
  const difference = Math.abs(offset)
  if (difference < clockWarning) return ok("the host's clock agrees with this computer's clock")
  const message = `the host's clock is ${durationText(difference)} ${offset > 0 ? 'ahead of' : 'behind'} this computer's clock`
  const fix = onHost(
    observation,
    facts?.timeSynchronized === undefined ? 'date -s @$(date +%s)' : 'timedatectl set-ntp true',
  )
  return difference < clockFailure ? warn(message, fix) : fail(message, fix)
}

export function judgeHome(observation: Observation): Verdict {
  const { facts } = observation
  if (facts?.home === undefined) return skip('not checked')
  const { path, state } = facts.home
  const user = facts.user ?? ''
  if (state === 'missing') {
    return fail(
      `${user}'s home directory ${path} does not exist`,
      onHost(observation, `mkhomedir_helper ${quoteForHost(user)}`),
    )
  }
  if (state === 'unwritable') {
    const rights = facts.keyFiles.get(path)
    const whose =
      rights === undefined ? '' : ` (${rights.owner}:${rights.group}, mode ${rights.mode})`
    return fail(
      `${user} cannot write to the home directory ${path}${whose}, where fleet stores stacks and copied files`,
      onHost(observation, `chown ${quoteForHost(user)} ${quoteForHost(path)}`),
    )
  }
  const full = facts.rooms.find((room) => room.path === path && isFull(room))
  if (full === undefined) return ok(`${user} can write to ${path}`)
  return fail(
    `the file system that contains ${path} is full: ${diskSpaceText(full)}`,
    freeSpace(observation, path),
  )
}

const membership = (user: string) => `usermod -aG docker ${shellQuote(user)}`

export function judgeSudo(observation: Observation): Verdict {
  const { facts, isLocal, hasEngine } = observation
  if (isLocal || facts === undefined) return skip('not needed')
  if (facts.isRoot) return ok('the login user is root')
  const user = facts.user ?? ''
  const why = {
    password: 'sudo asks for a password',
    terminal: 'sudo requires a terminal (requiretty)',
    denied: `sudo does not allow ${user} to run commands`,
    none: 'sudo is not installed',
    hung: 'sudo does not respond',
    works: '',
  }[facts.sudo ?? 'denied']
  if (why === '') return ok('sudo works without a password')
  const needsIt =
    hasEngine &&
    facts.socket !== undefined &&
    !facts.socket.direct &&
    !facts.groups.includes('docker')
  if (!needsIt) return ok(`${why}; only fleet provision and fleet upgrade require sudo`)
  return fail(
    `${user} cannot use the engine: the user is not in the docker group, and ${why}`,
    `allow ${user} to use sudo without a password, or run as root on the host: ${membership(user)}; then run fleet broker stop`,
  )
}

export function judgeCloudInit(observation: Observation): Verdict {
  const { facts, hasEngine, engine } = observation
  const result = facts?.cloudInit
  if (result === undefined) return skip('not checked')
  const look = onHost(observation, 'cloud-init status --long')
  if (result.state === 'absent') return skip('the host does not use cloud-init')
  if (result.state === 'running') {
    return warn(
      'cloud-init is still running on the host',
      onHost(observation, 'cloud-init status --wait'),
    )
  }
  if (result.errors.length === 0) return ok('cloud-init finished without errors')
  const message = `cloud-init failed on the host: ${result.errors.slice(0, 2).join('; ')}`
  const isHarmless = !hasEngine || (engine !== undefined && 'version' in engine)
  return isHarmless ? warn(message, look) : fail(message, look)
}

const [mib, gib] = [1 << 20, 1 << 30]

const isFull = ({ size, free, inodes }: Room): boolean =>
  (size > 0 && (free < 100 * mib || (free < gib && free < size * 0.02)) && free < size * 0.1) ||
  (inodes !== undefined && inodes.free < 1_000 && inodes.free < inodes.all * 0.02)

const isNearlyFull = ({ size, free, inodes }: Room): boolean =>
  (size > 0 && free < size * 0.1 && free < 5 * gib) ||
  (inodes !== undefined && inodes.free < inodes.all * 0.05 && inodes.free < 50_000)

const sizeText = (bytes: number): string =>
  bytes < gib ? `${Math.floor(bytes / mib)} MiB` : `${(bytes / gib).toFixed(1)} GiB`

const lacksInodes = ({ inodes }: Room): boolean =>
  inodes !== undefined && inodes.free < inodes.all * 0.05 && inodes.free < 50_000

const diskSpaceText = (room: Room): string =>
  lacksInodes(room)
    ? `${room.inodes?.free} of ${room.inodes?.all} inodes free`
    : `${sizeText(room.free)} of ${sizeText(room.size)} free`

const freeSpace = (observation: Observation, path: string): string =>
  observation.hasEngine && observation.engine !== undefined && 'version' in observation.engine
    ? `fleet system prune -m ${observation.name}`
    : onHost(observation, `du -xh -d 2 ${quoteForHost(path)} | sort -h | tail`)

export function judgeDisk(observation: Observation): Verdict {
  const { facts } = observation
  if (facts === undefined || facts.rooms.length === 0) return skip('not checked')
  const [root] = facts.rooms
  // The file system of the home directory is judged by the check of the home directory.
  const judged = facts.rooms.filter(({ path }) => path === root?.path || path === '/')
  for (const [isBad, verdict, words] of [
    [isFull, fail, 'full'],
    [isNearlyFull, warn, 'almost full'],
  ] as const) {
    const found = judged.find(isBad)
    if (found === undefined) continue
    const what = lacksInodes(found) ? ` (inodes)` : ''
    return verdict(
      `the file system that contains ${found.path} is ${words}${what}: ${diskSpaceText(found)}`,
      freeSpace(observation, found.path),
    )
  }
  return ok(
    root === undefined ? 'there is enough free space' : `${root.path}: ${diskSpaceText(root)}`,
  )
}
