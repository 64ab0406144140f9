import { expect, test } from 'vitest'
import { azure } from '../../../../src/drivers/azure/definition.ts'
import { describeLogin } from '../../../../src/operations/connect/describe-login.ts'
import type { ReadyMachine } from '../../../../src/machine/machine.ts'

const subscription =
  '/subscriptions/0b0a5c5e-0000-4000-8000-000000000001/resourceGroups/net/providers'
const machine = {
  name: 'web-1',
  driver: 'azure',
  labels: {},
  host: {
    phase: 'ready',
    id: `${subscription}/Microsoft.Compute/virtualMachines/web-1`,
    resources: {
      reach: 'bastion',
      bastion: `${subscription}/Microsoft.Network/bastionHosts/door`,
    },
    sshAlias: 'web',
  },
} as unknown as ReadyMachine

test('a record with both a tunnel and an SSH alias is refused, since one would be ignored', async () => {
  const context = { env: {}, driver: () => Promise.resolve(azure) } as never
  await expect(describeLogin(context, machine)).rejects.toMatchObject({
    kind: 'inventory',
    message: expect.stringContaining('"sshAlias: web" and "reach: bastion"') as string,
    hint: expect.stringContaining('remove "sshAlias" or "reach"') as string,
  })
})
