import { describe, expect, test } from 'vitest'
import { openTunnel } from '../../../../src/drivers/azure/tunnel.ts'
import type { HostRecord } from '../../../../src/machine/machine.ts'

const subscription = '/subscriptions/0b0a5c5e-0000-4000-8000-000000000001'
const id = `${subscription}/resourceGroups/fleet-web-1/providers/Microsoft.Compute/virtualMachines/web-1`
const bastion = `${subscription}/resourceGroups/net/providers/Microsoft.Network/bastionHosts/main`
const resources = { reach: 'bastion', bastion }
const host: HostRecord = { phase: 'ready', id, resources }

describe('the tunnel to a virtual machine', () => {
  test('is an Azure CLI command with the ID of the machine, its Bastion and its port', () => {
    const tunnel = openTunnel({ ...host, port: 2222 })
    expect(tunnel?.argv).toEqual([
      ...['az', 'network', 'bastion', 'tunnel', '--name=main', '--resource-group=net'],
      ...['--subscription=0b0a5c5e-0000-4000-8000-000000000001', `--target-resource-id=${id}`],
      ...['--resource-port=2222', '--port=0'],
    ])
    expect(tunnel?.listens?.portAfter).toBe('Tunnel is ready, connect on port ')
    expect(openTunnel({ ...host, resources: {} })).toBeUndefined()
  })

  test.each([
    { id: '--debug' },
    { id: `${id} --debug` },
    { id: `${id}/../../other` },
    { id: id.replace('virtualMachines', 'disks') },
    { id: undefined },
    { resources: { reach: 'bastion' } },
    { resources: { reach: 'bastion', bastion: '@/etc/passwd' } },
    { resources: { reach: 'bastion', bastion: `${bastion}\n` } },
    { resources: { reach: 'bastion', bastion: bastion.replace('main', '@file') } },
    { resources: { reach: 'bastion', bastion: bastion.replace('/net/', '/--debug/') } },
    { resources: { reach: 'bastion', bastion: bastion.replace('main', '$(touch x)') } },
    { resources: { reach: 'ssm', bastion } },
    { resources: { reach: '', bastion } },
  ])('is refused for a record that fleet cannot have written: %j', (change) => {
    expect(() => openTunnel({ ...host, ...change })).toThrow(
      expect.objectContaining({ kind: 'inventory' }),
    )
  })
})
