import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type QuietFleet, startQuietFleet } from '../../support/in-process/quiet-fleet.ts'
import { type LiveTerminal, openTerminal } from '../../support/process/live-terminal.ts'
import { startTmux } from '../../support/process/tmux.ts'
import { program } from '../../support/test-user.ts'

const escape = '\u001B'

/** Returns the number of times that a control sequence occurs in a text. */
const countOf = (text: string, sequence: string): number => text.split(sequence).length - 1

const isList = (lines: readonly string[]): boolean =>
  lines.some((line) => line.includes('? help')) && /host-1 +running/.test(lines.join('\n'))

describe.skipIf(process.platform !== 'linux')('fleet top and the terminal', () => {
  let fleet: QuietFleet
  let root: string
  let env: Record<string, string>

  beforeAll(async () => {
    fleet = await startQuietFleet(2, 3)
    root = await mkdtemp(join(tmpdir(), 'fleet-top-'))
    await mkdir(join(root, 'home'), { mode: 0o700 })
    await writeFile(join(root, 'machines.yaml'), fleet.inventory)
    env = {
      ...{ PATH: process.env['PATH'] ?? '', HOME: root, FLEET_HOME: join(root, 'home') },
      ...{ TMPDIR: root, LANG: 'C.UTF-8', FLEET_BROKER: 'off' },
    }
  })

  afterAll(async () => {
    await fleet?.[Symbol.asyncDispose]()
    await rm(root, { recursive: true, force: true, maxRetries: 10 })
  })

  const open = (
    args: readonly string[] = [],
    {
      env: more = {},
      ...size
    }: { rows?: number; columns?: number; env?: Record<string, string> } = {},
  ): LiveTerminal =>
    openTerminal([program, 'top', ...args], {
      ...{ cwd: root, env: { ...env, ...more }, rows: 24, columns: 140 },
      ...size,
    })

  test('works on a terminal that reports more columns than any screen has', async () => {
    await using top = open([], { rows: 300, columns: 65_535 })
    await top.until(/host-1 +running/)
    top.type('q')
    expect(await top.ended).toBe(0)
  })

  test('follows the size of the window, and never clears it', async () => {
    await using top = open([], { rows: 20, columns: 60 })
    await top.until(/host-1 +running/)
    for (const [rows, columns] of [
      [100, 300],
      [20, 60],
      [60, 200],
    ] as const) {
      top.resize(rows, columns)
      await top.until(
        (lines) => /\? help/.test(lines[rows - 1] ?? '') && /host-1/.test(lines.join()),
      )
    }
    top.type('q')
    expect(await top.ended).toBe(0)
    const written = top.written()
    expect(written).not.toMatch(/\[[0123]?J/)
    expect(countOf(written, `${escape}[?1049h`)).toBe(1)
  })

  test('stops at Ctrl-Z, and continues after fg', async () => {
    await using shell = openTerminal(['/bin/bash', '--norc', '-i'], {
      ...{ cwd: root, rows: 24, columns: 100 },
      env: { ...env, PS1: 'ready> ', FLEET: program },
    })
    await shell.until(/ready>/)
    shell.type('"$FLEET" top\n')
    await shell.until(/host-1 +running/)
    shell.type('\u001A')
    await shell.until(/Stopped/)
    expect(shell.screen()).toBe('normal')
    shell.type('stty -a | grep -o " echo "; fg\n')
    await shell.until(/host-1 +running/)
    expect(shell.screen()).toBe('alternate')
    shell.type('q')
    await shell.until(/ready> $|ready>\s*$/)
    shell.type('stty -a | grep -c -w -- "icanon"; exit 3\n')
    expect(await shell.ended).toBe(3)
  })

  test('restores the terminal after SIGTERM and after a crash', async () => {
    await using top = open()
    await top.until(/host-1 +running/)
    top.signal('SIGTERM')
    expect(await top.ended).not.toBe(0)
    expect(top.screen()).toBe('normal')
    const crash = join(root, 'crash.cjs')
    await writeFile(crash, `process.on('SIGUSR2', () => { throw new Error('a bug') })`)
    await using other = open([], { env: { NODE_OPTIONS: `--require=${crash}` } })
    await other.until(/host-1 +running/)
    other.signal('SIGUSR2')
    expect(await other.ended).not.toBe(0)
    expect(other.screen()).toBe('normal')
    expect(other.written()).toContain('a bug')
    expect(other.written().endsWith(`${escape}[?1049h`)).toBe(false)
  })

  test('runs a command for the selected machines, and returns on Enter', async () => {
    await using top = open()
    await top.until(/host-1 +running/)
    top.type(' ')
    await top.until(/1 marked/)
    top.type(':ps -q\r')
    await top.until(/Press Enter to return/)
    expect(top.screen()).toBe('normal')
    expect(top.lines().join('\n')).toMatch(/\$ fleet -m host-1 ps -q\n\w{12}\n\w{12}\n\w{12}\n/)
    top.type('\u0003\r') // the dashboard must ignore Ctrl-C now
    await top.until(/1 marked/)
    top.type('q')
    expect(await top.ended).toBe(0)
    expect(top.screen()).toBe('normal')
  })

  test('dims an unresponsive host, with the age of its data, until it is back', async () => {
    await using top = open()
    const row = (): number => top.lines().findIndex((line) => line.includes('host-2'))
    await top.until(/host-2 +running .*3\/3/)
    fleet.hold(true)
    await top.until(/host-2 +unreachable \d+s .*3\/3/)
    expect(top.isStyled(row(), 2)).toBe(true)
    fleet.hold(false)
    await top.until(/host-2 +running .*3\/3/)
    top.type('q')
    expect(await top.ended).toBe(0)
  })

  test('works in tmux with keys, sizes and detaching, and restores the pane', async () => {
    const variables = { ...env, PS1: 'ready> ', FLEET: program }
    await using tmux = await startTmux(root, variables)
    {
      await using first = tmux.attach({ rows: 31, columns: 100 })
      await first.until(/ready>/)
      first.type('echo before-$((40 + 2)); "$FLEET" top\n')
      await first.until(isList)
      expect(first.lines().join('\n')).not.toContain('before-42')
      first.resize(16, 60)
      await first.until((lines) => isList(lines) && lines.length === 16)
      first.resize(51, 180)
      await first.until((lines) => isList(lines) && (lines[49] ?? '').includes('? help'))
      first.type('2')
      await first.until(/> app-1 .*\n +app-2 /)
      first.type(`${escape}[B`)
      await first.until(/ {2}app-1 .*\n> app-2 /)
      await tmux.run('detach-client')
      expect(await first.ended).toBe(0)
    }
    await using second = tmux.attach({ rows: 25, columns: 90 })
    await second.until((lines) => /> app-2 /.test(lines.join('\n')) && /help/.test(lines[23] ?? ''))
    second.type('\u001B[D')
    await second.until(isList)
    second.type('q')
    await second.until(/before-42\n(?:.*\n)*ready> *$/m)
    expect(second.lines().join('\n')).not.toContain('host-1')
    expect(await tmux.run('display-message', '-p', '#{alternate_on} #{cursor_flag}')).toBe('0 1\n')
    second.type('stty -a | grep -o -w -- "-\\?icanon"; exit\n')
    expect(await second.ended).toBe(0)
    expect(second.written()).not.toContain('-icanon')
  })

  test('has no keys that change something with --read-only', async () => {
    await using top = open(['--read-only'])
    await top.until(/host-1 +running/)
    for (const key of ['x', 'e', ':']) {
      top.type(key)
      await top.until(/disabled by --read-only/)
      top.type('\u001B[A')
      await top.until((lines) => !/disabled by/.test(lines.join()))
    }
    top.type('q')
    expect(await top.ended).toBe(0)
  })
})
