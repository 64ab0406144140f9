import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { dockerHub } from '../../../src/docker/image-reference.ts'
import { configWithLogins } from '../../../src/docker/registry-logins.ts'

/** Writes a Docker configuration with credential helpers, and returns the environment that selects them. */
async function makeConfig(config: unknown, helpers: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-logins-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  await writeFile(join(folder, 'config.json'), text)
  for (const [name, script] of Object.entries(helpers)) {
    await writeFile(join(folder, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, {
      mode: 0o755,
    })
  }
  return { DOCKER_CONFIG: folder, PATH: folder }
}

/** Returns the script of a credential helper that answers with the registry's name as the secret. */
const answer = (user: string) => `read name; echo '{"Username":"${user}","Secret":"'"$name"'"}'`

const encode = (text: string) => Buffer.from(text).toString('base64')
const logins = async (env: Record<string, string>, ...registries: string[]): Promise<unknown> => {
  const config = await configWithLogins(new Set(registries), env)
  return config === undefined ? undefined : (JSON.parse(config) as { auths: unknown }).auths
}

test('reads only the logins for the requested registries', async () => {
  const auth = encode('ana:secret')
  const env = await makeConfig({
    auths: { 'a.example': { auth }, 'b.example': { auth: encode('bob:other') } },
    HttpHeaders: { 'X-Token': 'private' },
  })
  expect(await logins(env, 'a.example', 'c.example')).toEqual({ 'a.example': { auth } })
  expect(await logins(env, 'c.example')).toBeUndefined()
})

test('reads every form in which docker stores a login', async () => {
  const env = await makeConfig({
    auths: {
      'https://url.example/v1/': { auth: encode('u:1') },
      'plain.example': { username: 'p', password: '2' },
      'token.example': { auth: encode('t:'), identitytoken: 'refresh' },
      'empty.example': {},
      [dockerHub]: { auth: encode('h:3') },
    },
  })
  const names = ['url.example', 'plain.example', 'token.example', 'empty.example', dockerHub]
  expect(await logins(env, ...names)).toEqual({
    'url.example': { auth: encode('u:1') },
    'plain.example': { auth: encode('p:2') },
    'token.example': { auth: encode('t:'), identitytoken: 'refresh' },
    [dockerHub]: { auth: encode('h:3') },
  })
})

test("prefers a registry's credential helper to the credential store, and the store to the file", async () => {
  const env = await makeConfig(
    {
      auths: { 'file.example': { auth: encode('file:x') } },
      credsStore: 'store',
      credHelpers: { 'own.example': 'own', 'token.example': 'token' },
    },
    {
      own: answer('own'),
      token: answer('<token>'),
      store: `read name
        case $name in file.example) echo 'credentials not found in native keychain'; exit 1;; esac
        echo '{"Username":"store","Secret":"'"$name"'"}'`,
    },
  )
  const names = ['own.example', 'token.example', 'store.example', 'file.example']
  expect(await logins(env, ...names)).toEqual({
    'own.example': { auth: encode('own:own.example') },
    'token.example': { identitytoken: 'token.example' },
    'store.example': { auth: encode('store:store.example') },
    'file.example': { auth: encode('file:x') },
  })
})

test.each([
  ['fails', 'echo TOPSECRET; echo TOPSECRET >&2; exit 1', /docker-credential-bad did not return/],
  ['prints invalid JSON', 'echo TOPSECRET', /invalid JSON/],
])('names a credential helper that %s, without showing its output', async (_, helper, expected) => {
  const env = await makeConfig({ credsStore: 'bad' }, { bad: helper })
  const error = await configWithLogins(new Set(['a.example']), env).catch(
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ kind: 'credentials', message: expect.stringMatching(expected) })
  const { message, hint, cause } = error as Error & { hint: string }
  expect(JSON.stringify({ message, hint, cause: String(cause) })).not.toContain('TOPSECRET')
})

test('reports a missing credential helper and an invalid configuration file, without showing secrets', async () => {
  const missing = await makeConfig({ credHelpers: { 'a.example': 'absent' } })
  await expect(logins(missing, 'a.example')).rejects.toMatchObject({
    kind: 'credentials',
    message: expect.stringContaining('docker-credential-absent, which is not installed'),
  })
  const broken = await makeConfig('{"auths": {"a.example": {"auth": "TOPSECRET"')
  const error = await logins(broken, 'a.example').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    kind: 'credentials',
    message: expect.stringMatching(/not valid JSON$/),
  })
  expect(String(error)).not.toContain('TOPSECRET')
})

test('returns no logins without a Docker configuration', async () => {
  expect(await logins({ DOCKER_CONFIG: join(tmpdir(), 'absent') }, 'a.example')).toBeUndefined()
})
