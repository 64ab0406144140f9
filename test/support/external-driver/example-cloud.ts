import { spawn } from 'node:child_process'
import { cp, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { installZod } from './driver-package.ts'
import type { TestUser } from '../test-user.ts'

const root = join(import.meta.dirname, '../../..')
const example = join(root, 'examples/fleet-driver-example')
const token = 'a token of the tests'

/** A provider whose servers start and can be removed, but accept no logins. */
export interface ExampleCloud extends Disposable {
  readonly endpoint: string
  /** Environment variables for commands that use the provider. */
  readonly env: Readonly<Record<string, string>>
  /** Resolves to all servers and keys at the provider. */
  things(): Promise<{ id: string; name?: string; state?: string }[]>
}

/** Installs the example driver next to a user's inventory, and trusts it. */
export async function installExampleDriver(user: TestUser): Promise<void> {
  const { folder } = user
  await installZod(folder)
  await symlink(root, join(folder, 'node_modules/fleet'))
  await cp(example, join(folder, 'node_modules/fleet-driver-example'), { recursive: true })
  const { code, stderr } = await user.fleet(['trust', 'add', 'example', '--yes'])
  if (code !== 0) throw new Error(stderr)
}

/** Starts the provider. */
export async function startExampleCloud(): Promise<ExampleCloud> {
  const env = { EXAMPLE_CLOUD_TOKEN: token }
  const child = spawn(process.execPath, [join(example, 'provider/main.js'), '0'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { value: line } = await createInterface(child.stdout)[Symbol.asyncIterator]().next()
  const endpoint = /http:\S+/.exec(String(line))?.[0] ?? ''
  const ask = async (path: string) => {
    const headers = { authorization: `Bearer ${token}` }
    const answer = await fetch(`${endpoint}/${path}`, { headers })
    return (await answer.json()) as { id: string }[]
  }
  return {
    endpoint,
    env,
    things: async () => [...(await ask('servers')), ...(await ask('keys'))],
    [Symbol.dispose]: () => void child.kill(),
  }
}
