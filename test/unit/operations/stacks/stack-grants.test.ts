import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stackOf } from '../../../../src/machine/stacks.ts'
import type { GrantContext } from '../../../../src/operations/inventory/grants.ts'
import { readStackFiles } from '../../../../src/operations/stacks/stack-files.ts'
import {
  allowStackGrants,
  findStackGrants,
  requireStackGrants,
} from '../../../../src/operations/stacks/stack-grants.ts'
import { openTrust } from '../../../../src/state/home/trust.ts'

let folder: string
let context: GrantContext
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'grants-')))
  await mkdir(join(folder, 'infra/shop'), { recursive: true })
  await writeFile(join(folder, 'infra/machines.yaml'), '')
  await writeFile(join(folder, 'private'), 'p')
  const location = join(folder, 'infra/machines.yaml')
  context = {
    inventory: async () => ({ location }) as Awaited<ReturnType<GrantContext['inventory']>>,
    trust: async () => openTrust(join(folder, 'home')),
    env: {},
    driver: () => Promise.reject(new Error('not used')),
  }
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const shop = stackOf('shop', { compose: 'shop/compose.yaml', on: 'all' })

/** Finds the missing grants of a stack with this Compose file, which reads the files `taken`. */
async function find(text: string, taken: readonly string[], env: Record<string, string> = {}) {
  const { location } = await context.inventory()
  await writeFile(join(folder, 'infra/shop/compose.yaml'), text)
  const files = await readStackFiles(location, shop, env)
  return findStackGrants(context, files, [{ taken: taken.map((path) => join(folder, path)) }])
}

describe('the files and variables of this computer that a stack uses', () => {
  const plain = 'services: { a: { image: a } }\n'

  test('need no grant below the directory of the inventory, or for the usual shell variables', async () => {
    const text = `${plain}# $HOME $LANG $PATH\n`
    const env = { HOME: '/home/ana', LANG: 'C', PATH: '/bin', TOKEN: 'unused' }
    expect(await find(text, ['infra/shop/compose.yaml', 'infra/missing'], env)).toEqual([])
  })

  test('need a grant outside that directory, even behind links, until it is allowed', async () => {
    await symlink(join(folder, 'private'), join(folder, 'infra/shop/link'))
    const found = await find(plain, ['infra/shop/link', 'private', 'other'])
    expect(found).toEqual([
      { stack: 'shop', path: join(folder, 'other') },
      { stack: 'shop', path: join(folder, 'private') },
    ])
    expect(() => requireStackGrants(found, 'fleet apply')).toThrow(
      /not allowed yet:\nshop: the file or directory /,
    )
    await allowStackGrants(context, found)
    expect(await find(plain, ['infra/shop/link', 'private', 'other'])).toEqual([])
  })

  test('need a grant for each variable that the files of a stack use', async () => {
    const text = 'services: { a: { image: "a:${TAG}", environment: [TOKEN] } }\n'
    const env = { TAG: '1', TOKEN: 't', OTHER: 'o', COMPOSE_PROFILES: 'x' }
    const found = await find(text, [], env)
    expect(found).toEqual([
      { stack: 'shop', variable: 'TAG' },
      { stack: 'shop', variable: 'TOKEN' },
    ])
    const hint = 'to allow access: fleet deploy --allow-variable TAG --allow-variable TOKEN'
    expect(() => requireStackGrants(found, 'fleet deploy')).toThrow(
      expect.objectContaining({ kind: 'usage', hint }),
    )
    await allowStackGrants(context, [{ stack: 'mail', variable: 'TAG' }, ...found.slice(1)])
    expect(await find(text, [], env)).toEqual([{ stack: 'shop', variable: 'TAG' }])
    await allowStackGrants(context, found)
    expect(await find(text, [], env)).toEqual([])
    const { variables } = await (await context.trust()).read()
    expect(variables).toHaveLength(3)
  })
})
