import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { type Fleet, openFleet } from '../../src/app/fleet.ts'
import type { Machine } from '../../src/machine/machine.ts'
import type { MachineName } from '../../src/machine/name.ts'
import { openIo } from '../../src/ui/io.ts'

/** A user with a separate home directory, whose operations run in this process. */
export interface Operator extends AsyncDisposable {
  readonly home: string
  readonly inventoryFile: string
  readonly env: Record<string, string>
  /** Opens a `Fleet` for a single command. Dispose of it, and open another one for the next command. */
  open(): Fleet
  inventory(): Promise<string>
  machine(name: string): Promise<Machine | undefined>
}

/** Creates an operator with the inventory `text`, and the key in `identity` as the default key. */
export async function makeOperator({
  identity,
  inventory: text = 'version: 1\nid: 0123abcd\nmachines: {}\n',
}: { identity?: string; inventory?: string } = {}): Promise<Operator> {
  const root = await mkdtemp(join(tmpdir(), 'fleet-operator-'))
  const home = join(root, 'home')
  const file = join(root, 'machines.yaml')
  await mkdir(join(home, '.ssh'), { recursive: true, mode: 0o700 })
  await writeFile(file, text)
  if (identity !== undefined) await copyFile(identity, join(home, '.ssh/id_ed25519'))
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    FLEET_HOME: join(home, 'fleet'),
  }
  const open = () => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
    const { signal } = new AbortController()
    return openFleet(openIo({ stdin, stdout, stderr, env, cwd: root, signal }), file)
  }
  return {
    home,
    inventoryFile: file,
    env,
    open,
    inventory: () => readFile(file, 'utf8'),
    async machine(name) {
      await using fleet = open()
      return (await (await fleet.inventory()).read()).machines.get(name as MachineName)
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
}
