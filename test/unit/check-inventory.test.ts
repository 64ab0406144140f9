import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { checkInventory } from '../../src/state/check-inventory.ts'
import { head } from '../support/edit-text.ts'

const check = (machines: string) =>
  checkInventory(`${head}machines:\n${machines}`, 'm.yaml', async () => ({
    optionsOf: (name) =>
      name === 'ssh' ? z.strictObject({ k: z.string().optional() }) : undefined,
    isLasting: false,
  }))

describe('checking an inventory that is shared', () => {
  it.each([
    [
      'a path',
      '  a: { driver: ssh, options: { k: /home/ana/key } }\n',
      '4:35: machines.a.options.k: a path of one computer',
    ],
    [
      'a path of Windows',
      "  a: { driver: ssh, options: { k: 'C:\\k' } }\n",
      '4:35: machines.a.options.k: a path of one computer',
    ],
    [
      'a machine half made',
      '  a: { driver: ssh, host: { phase: creating, token: t } }\n',
      '4:36: a is half made: fleet create a finishes it, fleet rm a undoes it',
    ],
    [
      'a removal half done',
      '  a: { driver: ssh, host: { phase: removing, token: t } }\n',
      '4:36: a is half made: fleet rm a finishes it',
    ],
    [
      'a way to no machine',
      '  aa: { driver: ssh, via: ab }\n',
      '4:27: aa is reached via ab, which is no machine',
    ],
    [
      'a driver that is not known',
      '  a: { driver: nope }\n',
      '4:16: there is no driver called nope here',
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

  it('finds every machine of a circle', async () => {
    const text = '  a: { driver: ssh, via: b }\n  b: { driver: ssh, via: a }\n'
    await expect(check(text)).rejects.toMatchObject({
      message:
        'm.yaml:4:26: the way goes in a circle: a via b via a\nm.yaml:5:26: the way goes in a circle: b via a via b',
    })
  })

  it('lets the socket of an engine be, and the ids of Azure', async () => {
    const text =
      '  a: { driver: ssh, options: { k: /subscriptions/1 }, host: { phase: ready, socket: /run/d.sock } }\n'
    expect((await check(text)).machines.size).toBe(1)
  })
})
