import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  engineStateScript,
  parseEngineState,
} from '../../../../src/provision/engine/settings/engine-state.ts'

/** Runs the script on this computer, with the path of one certificate. Returns its output about the certificate. */
function read(certificate: string) {
  const output = execFileSync('sh', ['-s', certificate], {
    input: engineStateScript,
    encoding: 'utf8',
    timeout: 30_000,
  })
  return output.replaceAll(/^fleet (?:config|environment|pending)=.*\n/gm, '')
}

const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-state-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

describe.skipIf(process.platform === 'win32')('files read from a host', () => {
  test('can be links to other files', () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'real'), 'a certificate')
    symlinkSync('real', join(folder, 'link'))
    const state = parseEngineState(read(join(folder, 'link')), ['reg.example.com'])
    expect(state.certificates).toEqual({ 'reg.example.com': 'a certificate' })
    const absent = parseEngineState(read(join(folder, 'absent')), ['reg.example.com'])
    expect(absent.certificates).toEqual({})
  })

  test('are refused without waiting if they are pipes or directories', () => {
    const folder = newFolder()
    const fifo = join(folder, 'fifo')
    execFileSync('sh', ['-c', 'mkfifo "$0"', fifo])
    for (const path of [fifo, folder]) {
      expect(() => parseEngineState(read(path), ['reg.example.com'])).toThrow(
        `${path} on the host is not a regular file`,
      )
    }
  })

  test('are refused if they are too large', () => {
    const config = Buffer.alloc(1 << 20, ' ').toString('base64')
    expect(() => parseEngineState(`fleet config=+${config}\n`, [])).toThrow('larger than 1 MiB')
  })
})
