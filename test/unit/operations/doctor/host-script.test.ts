import { describe, expect, test } from 'vitest'
import { parseHostFacts } from '../../../../src/operations/doctor/host-script.ts'

describe('the output of the host script', () => {
  test('is parsed', () => {
    const output = `fleet clock=1700000000
fleet uid=1000
fleet user=ana
fleet groups=ana docker
fleet home=ok /home/ana
fleet rights=ana ana 700 /home/ana/.ssh
fleet sudo=password
fleet cloud-init=done
fleet cloud-init.errors="a failed", "b"
fleet room=1000 10 200 5 /var/lib/docker
fleet room=1000 10 0 0 /boot efi
fleet room=1000 10  /no inodes
fleet socket=indirect
fleet socket.rights=root docker 660
fleet socket.ping=28
fleet cli=yes
fleet compose=2.40.3
fleet maxstartups=10:30:100
fleet at=end
`
    expect(parseHostFacts(output)).toMatchObject({
      ...{ hungAt: undefined, clock: 1_700_000_000, isRoot: false, user: 'ana' },
      ...{ groups: ['ana', 'docker'], home: { path: '/home/ana', state: 'ok' }, sudo: 'password' },
      keyFiles: new Map([['/home/ana/.ssh', { owner: 'ana', group: 'ana', mode: '700' }]]),
      cloudInit: { state: 'done', errors: ['a failed', 'b'] },
      rooms: [
        { path: '/var/lib/docker', size: 1_024_000, free: 10_240, inodes: { all: 200, free: 5 } },
        { path: '/boot efi', inodes: undefined },
        { path: '/no inodes', inodes: undefined },
      ],
      socket: { exists: true, direct: false, rights: { group: 'docker' }, answers: 'hung' },
      docker: { cli: true, daemon: false, isRunning: false },
      ...{ compose: '2.40.3', maxStartups: '10:30:100' },
    })
  })

  test('shows which step hung if it ends early', () => {
    expect(parseHostFacts('fleet clock=1\nfleet at=sudo\n')).toMatchObject({ hungAt: 'sudo' })
    expect(parseHostFacts('')).toMatchObject({ hungAt: 'the login shell', rooms: [] })
  })

  test('is not trusted: control characters, long values and invalid numbers are handled', () => {
    const facts = parseHostFacts(
      [
        'fleet user=a\u001B[31m\u202Eb',
        `fleet compose=${'9'.repeat(1e6)}`,
        'fleet clock=1e99',
        'fleet room=-1 nonsense /',
        `fleet room=${'9'.repeat(400)} 1 /`,
        'fleet rights=root root 99999999 /x',
        'fleet sudo=yes; rm',
        'fleet cloud-init=done',
        `fleet cloud-init.errors=[[[[${'['.repeat(5_000)}`,
        'fleet __proto__=1',
        'fleet home=ok',
        'fleet at=end',
      ].join('\n'),
    )
    expect(facts).toMatchObject({ user: 'a [31m b', clock: undefined, rooms: [], sudo: undefined })
    expect(facts.compose?.length).toBeLessThan(5_000)
    expect(facts.cloudInit?.errors[0]?.length).toBeLessThan(400)
    expect(facts.keyFiles.size).toBe(0)
    expect(facts.home).toBe(undefined)
  })
})
