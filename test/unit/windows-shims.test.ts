import { describe, expect, test } from 'vitest'
import { shimFolder, windowsShims } from '../../scripts/windows-shims.mjs'

describe('the command shims for Windows', () => {
  test('run Node.js with "--" before the path of the program', () => {
    const shims = windowsShims(String.raw`C:\it's 100%\fleet\dist\main.js`)
    expect(shims['.cmd']).toBe(
      String.raw`@ECHO OFF
node -- "C:\it's 100%%\fleet\dist\main.js" %*
`.replaceAll('\n', '\r\n'),
    )
    expect(shims['.ps1']).toContain(
      String.raw`& node -- 'C:\it''s 100%\fleet\dist\main.js' ':' @words`,
    )
  })

  test('are in the directory where npm puts its own shims', () => {
    const prefix = String.raw`C:\npm`
    const env = { npm_config_global: 'true', npm_config_prefix: prefix }
    expect(shimFolder(String.raw`C:\npm\node_modules\fleet`, env)).toBe(prefix)
    const project = String.raw`C:\ops\node_modules\fleet`
    expect(shimFolder(project, {})).toBe(String.raw`C:\ops\node_modules\.bin`)
    expect(shimFolder(String.raw`C:\src\fleet`, {})).toBeUndefined()
  })
})
