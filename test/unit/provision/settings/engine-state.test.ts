import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  engineStateScript,
  parseEngineState,
} from '../../../../src/provision/engine/settings/engine-state.ts'

/** Runs the script with one certificate, on this computer. */
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

describe.skipIf(process.platform === 'win32')('files of a host', () => {
  test('are read through links', () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'real'), 'a certificate')
    symlinkSync('real', join(folder, 'link'))
    const state = parseEngineState(read(join(folder, 'link')), ['reg.example.com'])
    expect(state.certificates).toEqual({ 'reg.example.com': 'a certificate' })
    const absent = parseEngineState(read(join(folder, 'absent')), ['reg.example.com'])
    expect(absent.certificates).toEqual({})
  })

  test('that are pipes or directories are not waited for', () => {
    const folder = newFolder()
    const fifo = join(folder, 'fifo')
    execFileSync('sh', ['-c', 'mkfifo "$0"', fifo])
    for (const path of [fifo, folder]) {
      expect(() => parseEngineState(read(path), ['reg.example.com'])).toThrow(
        `${path} on the host is not a regular file`,
      )
    }
  })

  test('that are too large are an error', () => {
    const config = Buffer.alloc(1 << 20, ' ').toString('base64')
    expect(() => parseEngineState(`fleet config=+${config}\n`, [])).toThrow('larger than 1 MiB')
  })
})
