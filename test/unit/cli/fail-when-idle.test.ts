import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const runner = join(import.meta.dirname, '../../../scripts/run-ts.mjs')
const script = fileURLToPath(new URL('../../support/process/waits-for-nothing.ts', import.meta.url))
const run = () => spawnSync(process.execPath, [runner, script], { encoding: 'utf8' })

test('a command that waits for something that can never happen fails and reports a bug in fleet', () => {
  expect(run()).toMatchObject({ status: 70, stderr: expect.stringContaining('bug in fleet') })
})
