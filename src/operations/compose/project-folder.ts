import { createHash, randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { basename, join } from 'node:path'
import { codeOf } from '../../errors.ts'
import { preparePrivateFolder } from '../../state/home/home.ts'
import { locateHome } from '../../state/home/locate-home.ts'
import type { Context } from '../context.ts'
import type { EngineHost } from '../docker/on-host/host-docker.ts'

const userName = (): string => {
  try {
    return userInfo().username
  } catch {
    return 'user' // one that the system has no name for, as in some containers
  }
}

/**
 * Who the projects on hosts belong to: `$FLEET_OPERATOR`, else what home has on record since it was first asked for. A
 * computer's name would not do, for it can change with its network.
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

/** The name that the folder of a project of this computer has on a host: no other folder, person or fleet has the same. */
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

/** Where the files of a project of this computer are on a host. */
export const projectFolder = async (
  context: Context,
  { home }: EngineHost,
  folder: string,
): Promise<string> => `${home}/.cache/fleet/compose/${await projectId(context, folder)}`
