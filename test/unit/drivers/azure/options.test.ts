import { describe, expect, test } from 'vitest'
import { azureOptions } from '../../../../src/drivers/azure/options.ts'

const accepts = (image: string): boolean =>
  azureOptions.safeParse({ location: 'westeurope', image }).success

describe('an image from the Azure Marketplace', () => {
  test.each([
    'Debian:debian-13:13-gen2:latest',
    'Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:22.04.202501010',
  ])('can be %s', (image) => {
    expect(accepts(image)).toBe(true)
  })

  test.each([
    ...['..:..:..:..', 'a:b:c:..', '.:b:c:d', 'a:b:c:d?e=f', 'a:b:c:d#e', 'a:%2e%2e:c:d'],
    ...['a:b:c', 'a:b:c:d:e', 'a:b:c:d e', 'a:b:c:d\\e'],
  ])('cannot be %s, which could address another Azure resource', (image) => {
    expect(accepts(image)).toBe(false)
  })
})
