import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeBootScript } from '../../../../src/provision/cloud-init/boot-script.ts'
import type { EngineSettings } from '../../../../src/provision/engine/settings/engine-settings.ts'

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const settings: EngineSettings = {
  config: { labels: ["it's $HOME `id` FLEET-END", 'Zoë'] },
  listed: { 'insecure-registries': [], 'registry-mirrors': ['https://m.example.com'] },
  environment: { LAB: 'a "b" $HOME' },
  certificates: { 'reg.example.com:5000': pem },
}

/** Returns the part of the script that writes the settings, with paths below `root`. */
function configure(root: string): string {
  const script = writeBootScript({}, 'ana', settings)
  const put = /^put\(\) \{.*?^\}$/ms.exec(script)?.[0] ?? ''
  const body = /^configure\(\) \{.*?^:\n\}$/ms.exec(script)?.[0] ?? ''
  expect(Buffer.from(script).every((byte) => byte < 0x80)).toBe(true)
  return `say() { echo "$*"; }\n${put}\n${body.replaceAll("put '/", `put '${root}/`)}\nconfigure\n`
}

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'boot-settings-'))
})
afterEach(() => rmSync(root, { recursive: true }))

test('the first boot writes the settings', { skip: process.platform === 'win32' }, () => {
  execFileSync('sh', ['-c', configure(root)])
  const read = (path: string): string => readFileSync(join(root, path), 'utf8')
  expect(JSON.parse(read('etc/docker/daemon.json'))).toEqual({
    ...settings.config,
    'registry-mirrors': ['https://m.example.com'],
  })
  expect(read('etc/systemd/system/docker.service.d/zz-fleet.conf')).toContain(
    'Environment="LAB=a \\"b\\" $HOME"\n',
  )
  expect(read('etc/docker/certs.d/reg.example.com:5000/fleet-ca.crt')).toBe(pem)
})

test(
  'the first boot keeps existing files of the image',
  { skip: process.platform === 'win32' },
  () => {
    mkdirSync(join(root, 'etc/docker'), { recursive: true })
    writeFileSync(join(root, 'etc/docker/daemon.json'), '{}')
    const output = execFileSync('sh', ['-c', configure(root)], { encoding: 'utf8' })
    expect(output).toContain('daemon.json exists and was kept')
    expect(readFileSync(join(root, 'etc/docker/daemon.json'), 'utf8')).toBe('{}')
  },
)
