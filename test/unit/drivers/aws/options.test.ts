import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hostBitsNotes, parseCidrs } from '../../../../src/drivers/net/cidrs.ts'
import { awsOptions } from '../../../../src/drivers/aws/options.ts'
import { parsePorts } from '../../../../src/drivers/net/ports.ts'
import { parseTags } from '../../../../src/drivers/aws/tags.ts'
import { validateOptions } from '../../../../src/drivers/aws/create/validate-options.ts'

describe('the option ports', () => {
  test.each([
    ['80', [{ from: 80, to: 80, protocol: 'tcp' }]],
    ['80,443/tcp', [80, 443].map((port) => ({ from: port, to: port, protocol: 'tcp' }))],
    [
      ' 53/udp , 8000-8100 ',
      [
        { from: 53, to: 53, protocol: 'udp' },
        { from: 8000, to: 8100, protocol: 'tcp' },
      ],
    ],
    ['1-65535/udp', [{ from: 1, to: 65_535, protocol: 'udp' }]],
  ])('accepts %j', (text, ranges) => expect(parsePorts(text)).toEqual(ranges))

  test.each(['', '0', '65536', '80,', '90-80', '80/icmp', '80 81', 'http', '-80', '80-'])(
    'refuses %j',
    (text) => expect(parsePorts(text)).toBeUndefined(),
  )

  test('parses every valid range back to its numbers', () => {
    const port = fc.integer({ min: 1, max: 65_535 })
    fc.assert(
      fc.property(port, port, fc.constantFrom('tcp', 'udp'), (a, b, protocol) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        expect(parsePorts(`${from}-${to}/${protocol}`)).toEqual([{ from, to, protocol }])
      }),
    )
  })
})

describe('CIDR ranges', () => {
  test.each([
    ['203.0.113.7', ['203.0.113.7/32']],
    ['10.0.0.0/8, 2001:db8::/32', ['10.0.0.0/8', '2001:db8::/32']],
    ['2001:db8::1', ['2001:db8::1/128']],
    ['0.0.0.0/0', ['0.0.0.0/0']],
    ['10.1.2.3/8,203.0.113.255/31', ['10.0.0.0/8', '203.0.113.254/31']],
    ['2001:DB8:0:0:0:0:0:1/64, ::ffff:1.2.3.4', ['2001:db8::/64', '::ffff:1.2.3.4/128']],
    ['2001:db8:8000::5/33', ['2001:db8:8000::/33']],
    ['ffff::/1', ['8000::/1']],
  ])('are parsed and normalized from %j', (text, cidrs) => expect(parseCidrs(text)).toEqual(cidrs))

  test.each([
    '',
    '203.0.113',
    '203.0.113.7/33',
    '::/129',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    'me',
    '10.0.0.0/8,',
  ])('are refused in %j', (text) => expect(parseCidrs(text)).toBeUndefined())

  test('cause a note if they cover more addresses than their text names', () => {
    expect(hostBitsNotes('10.0.0.5/8, 10.0.0.5, 203.0.113.0/24, 2001:DB8::0/32')).toEqual([
      '10.0.0.5/8 covers the whole range 10.0.0.0/8',
    ])
  })
})

describe('the option tags', () => {
  test.each([
    ['team=web', { team: 'web' }],
    ['team=web, cost centre=42 ,empty=', { team: 'web', 'cost centre': '42', empty: '' }],
    ['query=a=b', { query: 'a=b' }],
    ['fleetwide=1', { fleetwide: '1' }],
  ])('accepts %j', (text, tags) => expect(parseTags(text)).toEqual(tags))

  test.each([
    '',
    'team',
    '=web',
    'aws:x=1',
    'AWS:x=1',
    'fleet=1',
    'fleet:token=1',
    'a=1,,b=2',
    `a=${'x'.repeat(257)}`,
  ])('refuses %j', (text) => expect(parseTags(text)).toBeUndefined())
})

describe('AWS options', () => {
  test('are all optional', () => {
    expect(awsOptions.parse({})).toMatchObject({ type: 't3.small', image: 'debian-13', disk: 20 })
  })

  test.each<[Record<string, unknown>, RegExp]>([
    [{ region: 'Ireland' }, /expected a region/],
    [{ zone: 'eu-west-1' }, /expected a zone/],
    [{ image: 'debian-11' }, /expected one of debian-13, .*ami-/],
    [{ image: 'debian-13x' }, /expected one of/],
    [{ subnet: 'vpc-0a1b2c3d' }, /expected an ID \(subnet-/],
    [{ securityGroups: 'sg-0a1b2c3d;sg-0a1b2c3e' }, /expected IDs/],
    [{ sshCidr: 'everybody' }, /expected addresses/],
    [{ ports: 'http' }, /expected ports/],
    [{ tags: 'fleet:id=mine' }, /expected tags/],
    [{ user: 'Ana' }, /expected a user name/],
    [{ disk: 4 }, /8/],
  ])('are refused when invalid: %j', (options, message) => {
    const { error } = awsOptions.safeParse(options)
    expect(error?.issues[0]?.message).toMatch(message)
  })

  test.each<[Record<string, unknown>, RegExp]>([
    [{ privateOnly: true, elasticIp: true, sshCidr: '10.0.0.0/8' }, /--private-only/],
    [{ securityGroups: 'sg-0a1b2c3d', ports: '80' }, /--security-groups/],
    [{ spot: 'prefer', terminationProtection: true }, /--termination-protection/],
    [{ privateOnly: true }, /--private-only requires --ssh-cidr/],
  ])('are refused when they contradict each other: %j', (options, message) => {
    expect(() => validateOptions(awsOptions.parse(options))).toThrow(message)
  })
})
