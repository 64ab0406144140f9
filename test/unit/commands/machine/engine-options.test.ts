import { describe, expect, test } from 'vitest'
import { engineFrom } from '../../../../src/commands/machine/create/engine-options.ts'

const none = {
  ...{ engine: true, engineVersion: undefined, engineChannel: undefined },
  ...{ engineRepository: undefined, engineInstallUrl: undefined, engineStorageDriver: undefined },
  ...{ engineOpt: [], engineLabel: [], engineEnv: [] },
  ...{ engineInsecureRegistry: [], engineRegistryMirror: [] },
}

// Based on Docker Machine's test/integration/core/engine-options.bats, and on its documentation of `create`.
describe("Docker Machine's engine options", () => {
  test.each([
    [
      {
        engineLabel: ['spam=eggs'],
        engineStorageDriver: 'overlay2',
        engineOpt: ['log-driver=none'],
        engineEnv: ['TEST=VALUE'],
      },
      {
        config: { 'log-driver': 'none', 'storage-driver': 'overlay2', labels: ['spam=eggs'] },
        environment: { TEST: 'VALUE' },
      },
    ],
    [
      { engineOpt: ['dns=10.0.0.2', 'dns=10.0.0.3', 'dns-search=lan'] },
      { config: { dns: ['10.0.0.2', '10.0.0.3'], 'dns-search': ['lan'] } },
    ],
    [
      { engineOpt: ['log-opt=max-size=10m', 'log-opt=max-file=3'] },
      { config: { 'log-opts': { 'max-size': '10m', 'max-file': '3' } } },
    ],
    [
      { engineOpt: ['icc=false', 'live-restore', 'mtu=1400', '--debug=true', 'bip=10.9.0.1/24'] },
      {
        config: {
          ...{ icc: false, 'live-restore': true, mtu: 1400, debug: true, bip: '10.9.0.1/24' },
        },
      },
    ],
    [
      { engineOpt: ['default-ulimit=nofile=64:128', 'add-runtime=crun=/usr/bin/crun', 'g=/srv/d'] },
      {
        config: {
          'default-ulimits': { nofile: { Name: 'nofile', Soft: 64, Hard: 128 } },
          runtimes: { crun: { path: '/usr/bin/crun' } },
          'data-root': '/srv/d',
        },
      },
    ],
    [
      { engineInsecureRegistry: ['reg.example.com:5000', '10.0.0.0/8'] },
      {
        config: { 'insecure-registries': ['10.0.0.0/8'] },
        registries: { 'reg.example.com:5000': { insecure: true } },
      },
    ],
    [
      { engineRegistryMirror: ['https://a.example.com'] },
      { registries: { 'docker.io': { mirror: 'https://a.example.com' } } },
    ],
    [
      { engineRegistryMirror: ['https://a.example.com', 'http://b:5000'] },
      { registries: { 'docker.io': { mirror: ['https://a.example.com', 'http://b:5000'] } } },
    ],
    [
      { engineRepository: 'https://m.example.com/linux', engineVersion: '28.2' },
      { repository: 'https://m.example.com/linux', version: '28.2' },
    ],
    [{}, undefined],
    [{ engine: false }, 'none'],
  ] as const)('%j become the engine settings %j', async (typed, engine) => {
    expect(await engineFrom({ ...none, ...typed })).toEqual(engine)
  })

  test.each([
    [{ engineInstallUrl: 'https://get.docker.com' }, /--engine-channel stable/],
    [{ engineInstallUrl: 'https://test.docker.com' }, /--engine-channel test/],
    [{ engineOpt: ['H=tcp://0.0.0.0:2375'] }, /TCP port/],
    [{ engineOpt: ['tlsverify'] }, /TLS/],
    [{ engineRegistryMirror: ['ftp://m'] }, /URL/],
    [{ engineEnv: ['LD_PRELOAD=/tmp/x.so'] }, /PATH/],
    [{ engineChannel: 'beta' }, /distribution, stable or test/],
    [{ engine: false, engineStorageDriver: 'vfs' }, /--no-engine/],
  ] as const)('%j is refused, with the next step', async (typed, reason) => {
    const error = await engineFrom({ ...none, ...typed }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ kind: 'usage' })
    const { message, hint } = error as { message: string; hint?: string }
    expect(`${message} ${hint}`).toMatch(reason)
  })
})
