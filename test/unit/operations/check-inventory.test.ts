import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { checkInventory } from '../../../src/state/inventory/check/check-inventory.ts'
import { head } from '../../support/inventory/edit-text.ts'

const loadOptions = async () => ({
  optionsOf: (name: string) =>
    name === 'ssh' ? z.strictObject({ k: z.string().optional() }) : undefined,
})

const findDriverProblem = async (name: string) =>
  name === 'ssh' ? undefined : `there is no driver called ${name} here`

const check = (machines: string) =>
  checkInventory(`${head}machines:\n${machines}`, 'm.yaml', loadOptions, findDriverProblem)

describe('checking a shared inventory', () => {
  it.each([
    [
      'an absolute path',
      '  a: { driver: ssh, options: { k: /home/ana/key } }\n',
      '4:35: machines.a.options.k: this path is valid on only one computer',
    ],
    [
      'an absolute Windows path',
      "  a: { driver: ssh, options: { k: 'C:\\k' } }\n",
      '4:35: machines.a.options.k: this path is valid on only one computer',
    ],
    [
      'a partly created machine',
      '  a: { driver: ssh, host: { phase: creating, token: 6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11 } }\n',
      '4:36: a was only partly created: run fleet create a to finish creating it, or fleet rm a to remove it',
    ],
    [
      'a partly removed machine',
      '  a: { driver: ssh, host: { phase: removing, token: 6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11 } }\n',
      '4:36: a was only partly removed: run fleet rm a to finish removing it',
    ],
    [
      'an unknown jump host',
      '  aa: { driver: ssh, via: ab }\n',
      '4:27: aa has the jump host ab, but there is no such machine',
    ],
    ['an unknown driver', '  a: { driver: nope }\n', '4:16: there is no driver called nope here'],
    [
      'two entries for the same created host',
      '  a: { driver: ssh, host: { phase: ready, token: 6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11 } }\n  b: { driver: ssh, host: { phase: ready, token: 6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11 } }\n',
      '5:50: b and a refer to the same host: keep only one of the two entries',
    ],
    [
      'two entries for the same adopted host',
      '  a: { driver: ssh, host: { phase: ready, address: h, user: u } }\n  b: { driver: ssh, host: { phase: ready, address: h, user: u, port: 22 } }\n',
      '5:52: b and a refer to the same host: keep only one of the two entries',
    ],
    [
      'two machines with the same name',
      '  a: { driver: ssh }\n  b: { driver: ssh }\n  a: { driver: ssh }\n',
      '6:3: a is defined twice, first on line 4: rename one entry, or keep only one (fleet gc finds hosts that are not in the inventory)',
    ],
    [
      'two host sections in one machine',
      '  a:\n    driver: ssh\n    host: { phase: ready, id: i }\n    host: { phase: ready, id: j }\n',
      '7:5: a has two host sections: keep one (fleet gc finds hosts that are not in the inventory)',
    ],
    [
      'an unresolved git merge conflict',
      '  a: { driver: ssh }\n<<<<<<< ours\n  b:\n    driver: ssh\n=======\n  b:\n    driver: aws\n>>>>>>> theirs\n',
      '5:1: unresolved git merge conflict in b',
    ],
    [
      'a secret',
      '  a: { driver: ssh, options: { k: AKIAABCDEFGHIJKLMNOP } }\n',
      '4:35: an AWS access key must not be in this file',
    ],
  ])('finds %s', async (_, text, message) => {
    await expect(check(text)).rejects.toMatchObject({
      kind: 'inventory',
      message: `m.yaml:${message}`,
    })
  })

  it.each([
    [
      'an absolute path',
      'p: { driver: ssh, options: { k: /home/ana/key } }',
      '4:35: profiles.p.options.k: this path is valid on only one computer',
    ],
    [
      'an unknown driver',
      'p: { driver: nope, count: 2 }',
      '4:16: there is no driver called nope here',
    ],
    [
      'an unknown jump host',
      'p: { driver: ssh, via: zz, count: 1 }',
      '4:26: p-1 has the jump host zz, but there is no such machine',
    ],
    [
      'two entries with the same name',
      'p: { driver: ssh }\n  p: { driver: aws }',
      '5:3: p is defined twice, first on line 4: keep only one entry, or rename one and update every `extends` that refers to it',
    ],
  ])('finds %s in profiles', async (_, profiles, message) => {
    const text = `${head}profiles:\n  ${profiles}\nmachines: {}\n`
    const checked = checkInventory(text, 'm.yaml', loadOptions, findDriverProblem)
    await expect(checked).rejects.toMatchObject({ message: `m.yaml:${message}` })
  })

  it('reports every machine in a cycle of jump hosts', async () => {
    const text = '  a: { driver: ssh, via: b }\n  b: { driver: ssh, via: a }\n'
    await expect(check(text)).rejects.toMatchObject({
      message:
        'm.yaml:4:26: jump hosts form a cycle: a via b via a\nm.yaml:5:26: jump hosts form a cycle: b via a via b',
    })
  })

  it('accepts socket paths of engines and IDs of Azure resources', async () => {
    const text =
      '  a: { driver: ssh, options: { k: /subscriptions/1 }, host: { phase: ready, socket: /run/d.sock } }\n'
    expect((await check(text)).machines.size).toBe(1)
  })
})
