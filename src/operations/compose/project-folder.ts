import { createHash, randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { basename, join } from 'node:path'
import { codeOf } from '../../errors.ts'
import { preparePrivateFolder } from '../../state/home/home.ts'
import { locateHome } from '../../state/home/locate-home.ts'
import type { Context } from '../context.ts'
import type { EngineHost } from '../docker/on-host/host-docker.ts'
import { traceError } from '../../os/trace.ts'

const userName = (): string => {
  try {
    return userInfo().username
  } catch (error) {
    traceError('docker', 'get the user name', error)
    return 'user' // the user has no name, as in some containers
  }
}

/**
 * Identifies the owner of projects on hosts: `$FLEET_OPERATOR`, or else a random ID recorded in fleet's home directory.
 * A computer name is not stable, because it can change with the network.
 */
async function operatorIdentity(env: Context['env']): Promise<string> {
  if (env['FLEET_OPERATOR']) return env['FLEET_OPERATOR']
  const home = locateHome(env)
  const file = join(home, 'operator')
  const read = (): Promise<string> => readFile(file, 'utf8')
  try {
    return await read()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  await preparePrivateFolder(home)
  const identity = `${userName()}@${hostname()} ${randomUUID()}\n`
  try {
    await writeFile(file, identity, { flag: 'wx', mode: 0o600 })
    return identity
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    return await read()
  }
}

/** The directory name of a local project on a host, unique for each local directory, user and inventory. */
async function projectId(context: Context, folder: string): Promise<string> {
  const { id } = await (await context.inventory()).read()
  const identity = JSON.stringify([folder, await operatorIdentity(context.env), id])
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 12)
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '')
    .slice(0, 40)
  return `${name || 'project'}-${hash}`
}

/** The directory of a local project on a host. */
export const projectFolder = async (
  context: Context,
  { home }: EngineHost,
  folder: string,
): Promise<string> => `${home}/.cache/fleet/compose/${await projectId(context, folder)}`
