import { readFile } from 'node:fs/promises'
import type { ExistingHost } from '../../drivers/driver.ts'
import { UserError, fileProblemOf } from '../../errors.ts'
import { fingerprintKeyFile } from '../../transport/ssh/login/key-file.ts'
import { type HostId, describeKnownHost, adoptDescribedHost } from '../adopt/adopt-known-host.ts'
import { type AdoptCalls, adoptMachine } from '../adopt/adopt-machine.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { type CreatedMachine, createMachine } from '../create/create-machine.ts'
import type { HostKeyTrust } from '../trust/trust-host-key.ts'
import type { ImportedHost } from './imported-host.ts'

/** The options and callbacks of an import. */
export interface Import extends AdoptCalls {
  readonly trust: HostKeyTrust
  readonly labels: Readonly<Record<string, string>>
  /** The login user for hosts that do not specify one. */
  readonly user: string | undefined
}

/** Copies the key of a host to fleet's home directory, so that the other tool's files can be removed. */
async function keepKey(context: Context, file: string, key: string): Promise<void> {
  if ((await fingerprintKeyFile(file)) !== key) return
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError('failed', `cannot read ${file}: ${fileProblemOf(error)}`, { cause: error })
  })
  await context.keys().keep(key, text)
}

/** Looks up a host at its provider; returns the error if that fails or the host does not exist. */
async function askProvider(
  context: Context,
  known: HostId,
  progress: Progress,
): Promise<ExistingHost | UserError> {
  try {
    return await describeKnownHost(context, known, progress)
  } catch (error) {
    context.signal.throwIfAborted()
    if (error instanceof UserError) return error
    throw error
  }
}

/** Adopts a host with the `ssh` driver, at the address that the other tool uses. */
function adoptByAddress(
  context: Context,
  { name, address, user, port, identityFile, labels = {} }: ImportedHost,
  { trust, progress }: Import,
): Promise<CreatedMachine> {
  return createMachine(
    context,
    {
      name,
      driver: 'ssh',
      options: {
        address,
        ...(user !== undefined && { user }),
        ...(port !== undefined && { port }),
      },
      labels,
      identityFiles: identityFile === undefined ? [] : [identityFile],
      trust,
    },
    { progress, approve: async () => false },
  )
}

/** Formats `[user@]host[:port]`, as `fleet adopt` accepts it. */
const destinationOf = ({ address = '', user, port }: ImportedHost): string => {
  const host = port !== undefined && address.includes(':') ? `[${address}]` : address
  return `${user === undefined ? '' : `${user}@`}${host}${port === undefined ? '' : `:${port}`}`
}

/** Adopts a host as `fleet adopt` does: uses the settings in ~/.ssh/config, and adopts jump hosts as machines. */
const adoptHost = (
  context: Context,
  host: ImportedHost,
  { trust, progress, confirmJump }: Import,
): Promise<CreatedMachine> =>
  adoptMachine(
    context,
    {
      destination: destinationOf(host),
      name: host.name,
      labels: host.labels,
      identityFiles: host.identityFile === undefined ? [] : [host.identityFile],
      proxyJump: host.jumps,
      trust,
    },
    { progress, confirmJump },
  )

/**
 * Adopts a host with the facts that its provider reports. The user comes from the other tool, and so does the port,
 * unless the provider reports one.
 */
function adoptAtProvider(
  context: Context,
  { name, port, user, identityFile, labels = {} }: ImportedHost,
  recalled: ExistingHost,
  { known, trust, progress }: Import & { readonly known: HostId },
): Promise<CreatedMachine> {
  const facts = {
    ...(port !== undefined && { port }),
    ...recalled,
    ...(user !== undefined && { user }),
  }
  const identityFiles = identityFile === undefined ? [] : [identityFile]
  return adoptDescribedHost(
    context,
    { ...known, name, labels, identityFiles, trust },
    facts,
    progress,
  )
}

/**
 * Adopts a host with the driver of its provider. If that is not possible, adopts it by its address, with the reason as
 * a hint.
 */
async function importByDriver(
  context: Context,
  host: ImportedHost,
  request: Import,
): Promise<CreatedMachine> {
  const { name, address, known } = host
  if (host.followsSshConfig === true) return adoptHost(context, host, request)
  if (known === undefined) return adoptByAddress(context, host, request)
  const answer = await askProvider(context, known, request.progress)
  if (!(answer instanceof UserError)) {
    return adoptAtProvider(context, host, answer, { ...request, known })
  }
  if (address === undefined) {
    throw new UserError(
      answer.kind,
      `cannot get the host's address from the ${known.driver} driver: ${answer.message}`,
      {
        machine: name,
        hint: answer.hint,
        cause: answer,
      },
    )
  }
  const taken = await adoptByAddress(context, host, request)
  const why = `imported with the ssh driver (which cannot start or stop the host), because the ${known.driver} driver did not find the host: ${answer.message}`
  return { ...taken, hint: [why, taken.hint].filter((line) => line !== undefined).join('; ') }
}

/**
 * Imports a host from another tool. The host is inspected but not changed. It gets the driver of its provider if the
 * provider can be queried, or else the `ssh` driver. fleet never owns it.
 */
export async function importHost(
  context: Context,
  host: ImportedHost,
  request: Import,
): Promise<CreatedMachine> {
  const { identityFile, keyIsItsOwn, user = request.user } = host
  const labels = { ...host.labels, ...request.labels }
  const created = await importByDriver(context, { ...host, user, labels }, request)
  const { key } = created.machine.host
  if (keyIsItsOwn && identityFile !== undefined && key !== undefined) {
    await keepKey(context, identityFile, key)
  }
  return created
}
