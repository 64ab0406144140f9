import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  editText,
  fleet,
  label,
  ready,
  remove,
  type Change,
} from '../../../support/inventory/edit-text.ts'

const merge = (ours: string, theirs: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-merge-'))
  try {
    const files = Object.entries({ ours, base: fleet, theirs }).map(([name, text]) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    })
    execFileSync('git', ['merge-file', '-q', ...files])
    return readFileSync(join(folder, 'ours'), 'utf8')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('two branches with different changes to an inventory', () => {
  const changes: readonly (readonly [string, string, Change])[] = [
    ['adds api-2', 'api-2', ready],
    ['adds web-2', 'web-2', ready],
    ['adds a machine that sorts first', 'aaa', ready],
    ['labels api-1', 'api-1', label({ env: 'prod' })],
    [
      'records the engine of api-1',
      'api-1',
      (entry) => ({ ...entry, host: { phase: 'ready', engine: '28' } }),
    ],
    ['labels db-1', 'db-1', label({ env: 'prod' })],
    ['removes web-1', 'web-1', remove],
  ]
  const pairs = changes.flatMap((ours, index) =>
    changes
      .slice(index + 1)
      .flatMap((theirs) =>
        ours[1] === theirs[1] ? [] : [[ours[0], theirs[0], ours, theirs] as const],
      ),
  )

  it.each(pairs.filter(([, , ours, theirs]) => !(ours[1] === 'web-2' && theirs[1] === 'web-1')))(
    'are merged by git if one %s and the other %s',
    (_ours, _theirs, [, ourName, ours], [, theirName, theirs]) => {
      const merged = merge(editText(fleet, ourName, ours), editText(fleet, theirName, theirs))
      expect(merged).toBe(editText(editText(fleet, ourName, ours), theirName, theirs))
    },
  )

  it('conflict if both add the next machine of a numbered series', () => {
    expect(() => merge(editText(fleet, 'web-2', ready), editText(fleet, 'web-3', ready))).toThrow(
      /git merge-file/,
    )
  })
})
