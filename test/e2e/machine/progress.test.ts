import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

// Arguments for adopting a host that refuses connections: nothing listens on this port.
const adopt = ['adopt', 'ana@127.0.0.1:1', '--name', 'web-1', '--accept-new']

let ana: TestUser
beforeEach(async () => {
  ana = await makeTestUser()
})
afterEach(() => ana[Symbol.asyncDispose]())

test('a pipe receives the steps as lines, and the failed step', async () => {
  const { code, stdout, stderr } = await ana.fleet(adopt)
  expect({ code, stdout }).toEqual({ code: 5, stdout: '' })
  const [first, second, error] = stderr.split('\n')
  expect(first).toBe('web-1: connect to 127.0.0.1')
  expect(second).toMatch(/^web-1: failed: connect to 127\.0\.0\.1 \(\d+s\)$/)
  expect(error).toMatch(/^fleet: .*refused/)
})

test('with --json, every line of stderr is an object, and stdout has only the result', async () => {
  const { code, stdout, stderr } = await ana.fleet([...adopt, '--json'])
  expect({ code, stdout }).toEqual({ code: 5, stdout: '' })
  const lines = stderr.trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { event: 'step', machine: 'web-1', step: 'connect to 127.0.0.1', seconds: 0 },
    { event: 'failed', machine: 'web-1', step: 'connect to 127.0.0.1' },
    { error: { kind: 'unreachable' } },
  ])
})

test('a terminal keeps the line of the failed step above the error', async () => {
  const { code, screen } = await ana.fleetOnTerminal(adopt, [])
  expect(code).toBe(5)
  expect(screen).toContain('\u001B[?25h') // the cursor is visible again
  // oxlint-disable-next-line no-control-regex
  const plain = screen.replaceAll(/\u001B\[[\d;?]*[A-Za-z]/g, '')
  expect(plain).toMatch(/✖ web-1: connect to 127\.0\.0\.1\s+fleet: .*refused/)
})
