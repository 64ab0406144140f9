import { randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { findKnownHost } from '../../transport/ssh/host-keys/known-hosts.ts'
import { askSsh } from '../../transport/ssh/config/ask-ssh.ts'
import type { Context } from '../context.ts'
import { fanOut } from '../fan-out/fan-out.ts'
import { type SshReachable, listSshReachable } from './ssh-client-config.ts'
import { ignored } from '../../os/trace.ts'

/** The user's SSH configuration without the machines of the inventory. */
interface OtherConfiguration {
  withoutMachines<Value>(work: (file: string) => Promise<Value>): Promise<Value>
}

type SshSettings = readonly string[] | undefined

/** The keywords that determine which host is reached by a name. */
const routing = /^(?:hostname|port|proxyjump|proxycommand|hostkeyalias) /

/** The maximum number of concurrent ssh processes. */
const concurrency = 8

/** How long a name server may take to answer, in milliseconds. */
const lookUpTime = 2_000

/** The output of `ssh -G` for a host, with the host's name replaced by a placeholder. */
async function ask(context: Context, file: string, host: string): Promise<SshSettings> {
  const lines = await askSsh({ host }, context.env, file)
  return lines?.map((line) => line.toLowerCase().replaceAll(host.toLowerCase(), '\0'))
}

const differ = (a: SshSettings = [], b: SshSettings = [], concerns = /^/): boolean =>
  JSON.stringify(a.filter((line) => concerns.test(line))) !==
  JSON.stringify(b.filter((line) => concerns.test(line)))

/**
 * Whether a configuration defines the host `name`, that is, whether its settings differ from those of other names. To
 * rule out patterns such as `web-*`, they must also differ from the settings of names with one more character at the
 * start or the end.
 */
async function isConfigured(
  context: Context,
  file: string,
  name: string,
  ofOthers: SshSettings,
): Promise<boolean> {
  const answer = await ask(context, file, name)
  if (!differ(answer, ofOthers)) return false
  if (differ(answer, ofOthers, routing)) return true
  return (
    differ(answer, await ask(context, file, `x${name}`)) &&
    differ(answer, await ask(context, file, `${name}x`))
  )
}

/** Whether known_hosts lists this name, but with keys other than the machine's. */
async function isKnownAsAnother({ env }: Context, { name, host }: SshReachable): Promise<boolean> {
  const { trusted } = await findKnownHost({ address: name, port: 22 }, env)
  return trusted.length > 0 && !trusted.some(({ key }) => host.hostKeys?.includes(key))
}

const addresses = async (name: string): Promise<readonly string[]> =>
  (await lookup(name, { all: true })).map(({ address }) => address)

/** Whether a name that contains a dot resolves to another host. */
async function resolvesElsewhere({ name, host }: SshReachable): Promise<boolean> {
  if (host.address.toLowerCase() === name.toLowerCase()) return false
  const both = Promise.all([
    addresses(`${name}.`), // the trailing dot prevents the use of search domains
    addresses(host.address).catch(ignored('command', 'look up the address', [host.address])),
  ]).then(
    ([named, own]) => !named.some((address) => own.includes(address)),
    () => false,
  )
  return Promise.race([both, sleep(lookUpTime, false, { ref: false })])
}

/**
 * Finds the machines whose names the user's ssh already resolves to other hosts, each with the reason for the conflict.
 * If these names were exported, an inventory could redirect `ssh` or `git` to another host.
 */
export async function findTakenNames(
  context: Context,
  configuration: OtherConfiguration,
): Promise<ReadonlyMap<string, string>> {
  const machines = await listSshReachable(context)
  return configuration.withoutMachines(async (file) => {
    const randomName = randomBytes(8).toString('hex')
    const plain = await ask(context, file, randomName)
    const dotted = await ask(context, file, `${randomName}.invalid`)
    const whyTaken = async (machine: SshReachable): Promise<string | undefined> => {
      const { name } = machine
      const hasDot = name.includes('.')
      if (await isConfigured(context, file, name, hasDot ? dotted : plain))
        return 'your SSH configuration contains another host with this name'
      if (hasDot && (await isKnownAsAnother(context, machine)))
        return 'known_hosts contains another host with this name'
      if (hasDot && (await resolvesElsewhere(machine)))
        return 'another host on the network has this name'
      return undefined
    }
    const taken = new Map<string, string>()
    const { signal } = context
    for await (const outcome of fanOut(machines, whyTaken, { signal, concurrency })) {
      if ('error' in outcome) throw outcome.error
      if (outcome.value !== undefined) taken.set(outcome.machine.name, outcome.value)
    }
    return taken
  })
}
