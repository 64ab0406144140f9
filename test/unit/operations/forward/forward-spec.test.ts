import { describe, expect, test } from 'vitest'
import { parseForward } from '../../../../src/operations/forward/forward-spec.ts'

const web = { host: 'web', port: 80 }

describe('a port forwarding in the syntax of ssh', () => {
  test.each([
    ['-L', '8080:web:80', { listen: { host: 'localhost', port: 8080 }, target: web }],
    ['-L', ':8080:web:80', { listen: { host: '', port: 8080 }, target: web }],
    ['-L', '*:8080:web:80', { listen: { host: '', port: 8080 }, target: web }],
    ['-L', '0.0.0.0:8080:web:80', { listen: { host: '0.0.0.0', port: 8080 }, target: web }],
    [
      '-L',
      '[::1]:8080:[fe80::2]:80',
      { listen: { host: '::1', port: 8080 }, target: { host: 'fe80::2', port: 80 } },
    ],
    [
      '-L',
      '8080:/run/app.sock',
      { listen: { host: 'localhost', port: 8080 }, target: { path: '/run/app.sock' } },
    ],
    ['-L', './app.sock:web:80', { listen: { path: './app.sock' }, target: web }],
    [
      '-L',
      './app.sock:/run/app.sock',
      { listen: { path: './app.sock' }, target: { path: '/run/app.sock' } },
    ],
    [
      '-L',
      'localhost:8080:/run/app.sock',
      { listen: { host: 'localhost', port: 8080 }, target: { path: '/run/app.sock' } },
    ],
    [
      '-R',
      '0:localhost:80',
      { listen: { host: 'localhost', port: 0 }, target: { host: 'localhost', port: 80 } },
    ],
    ['-R', '1080', { listen: { host: 'localhost', port: 1080 } }],
    ['-R', 'localhost:1080', { listen: { host: 'localhost', port: 1080 } }],
    ['-R', '/run/here.sock:web:80', { listen: { path: '/run/here.sock' }, target: web }],
    ['-D', '1080', { listen: { host: 'localhost', port: 1080 } }],
    ['-D', '[::1]:1080', { listen: { host: '::1', port: 1080 } }],
  ] as const)('is parsed from %s %s', (flag, text, spec) => {
    expect(parseForward(flag, text)).toEqual(spec)
  })

  test.each([
    ['-L', '::1:/x'],
    ['-L', '8080'],
    ['-L', '8080:web'],
    ['-L', '0:web:80'],
    ['-L', '8080:web:80:90:1'],
    ['-L', '8080::80'],
    ['-L', '[::1:8080:web:80'],
    ['-L', '65536:web:80'],
    ['-R', 'web'],
    ['-D', '1080:web:80'],
    ['-D', ''],
  ] as const)('is refused as malformed: %s %s', (flag, text) => {
    expect(() => parseForward(flag, text)).toThrow(
      `invalid value ${JSON.stringify(text)} for ${flag}: `,
    )
  })

  test('with only a port is refused, except for SOCKS', () => {
    expect(() => parseForward('-L', '8080')).toThrow('expected [address:]port:host:port')
  })
})
