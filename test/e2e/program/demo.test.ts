import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { labIsHere } from '../../support/lab/lab.ts'

const run = promisify(execFile)
const scripts = join(import.meta.dirname, '../../../scripts')

describe.skipIf(!labIsHere)('npm run demo', () => {
  test('shows the main use cases, with their exit codes and output', async () => {
    const { stdout } = await run(process.execPath, [
      join(scripts, 'run-ts.mjs'),
      join(scripts, 'demo/main.ts'),
    ])
    /** Returns the output of a command in the demo: the lines from its prompt to the next empty line. */
    const printedBy = (line: string) => stdout.split(`\n$ ${line}\n`)[1]?.split('\n\n')[0] ?? ''

    expect(printedBy('fleet create laptop --driver local --install-engine --yes')).toMatch(
      /start dockerd[^]*laptop is ready/,
    )
    expect(printedBy('fleet ls')).toMatch(
      /^laptop +\* +local +this computer[^]*^web-1 +ssh[^]*^web-2 +ssh/m,
    )
    expect(printedBy('fleet ls --live').match(/ running /g)).toHaveLength(3)
    expect(printedBy('fleet images --all').match(/ demo\/hello +1 /g)).toHaveLength(3)
    expect(printedBy('fleet ps --all').match(/ Up .* hello$/gm)).toHaveLength(3)
    expect(printedBy('fleet logs --on role=web --follow --tail 1 hello')).toMatch(
      /^web-1 hello \| hello \d+ from [^]*^web-2 hello \| hello \d+ from /m,
    )
    expect(printedBy('fleet use web-1')).toBe('web-1 is now the active machine')
    expect(printedBy('fleet ssh web-2 -- hostname')).toBe('h3')
    expect(stdout).toMatch(/switched off[^]*web-2 .* unreachable [^]*1 of 3 machines failed/)
    expect(stdout).toMatch(/web-2: removed [^\n]*its entry[^]*\nShown in \d+ s: \d\d commands/)
    // oxlint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/\u001B|\r/)
  })

  test('changes nothing if it cannot run, and reports its requirements', async () => {
    // a user namespace without any mapped user: not root, but able to read this checkout at any path
    const asNobody = ['--user', process.execPath, join(scripts, 'demo.mjs')]
    await expect(run('unshare', asNobody)).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/needs a Debian machine.* and root.*Nothing was changed/s),
    })
  })
})
