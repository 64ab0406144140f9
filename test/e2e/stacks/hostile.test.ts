import { execFile } from 'node:child_process'
import { readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LabHost } from '../../support/lab/lab.ts'
import {
  type StackLab,
  canDeployStacks,
  writeFiles,
  localCompose,
  onHost,
  startStackLab,
  waitForever,
} from '../../support/stacks/stack-lab.ts'

const secret = 'swordfish'
const service = `image: bb:1, command: [sh, -c, '${waitForever}'], stop_grace_period: 0s`
const harmless = `services: { web: { ${service}, volumes: ['./site:/site'] } }`
const webWith = (more: string, rest = ''): string =>
  `services: { web: { ${service}, ${more} } }\n${rest}`

const needsConsent =
  /use files and environment variables from this computer[^]*not allowed yet:[^]*--allow-path/

/** Compose files of a pull request, and the errors that prevent their deployment. */
const files: Readonly<Record<string, readonly [composeFile: string, why: RegExp]>> = {
  'a mount outside the inventory directory': [
    webWith("volumes: ['../../secret:/x']"),
    needsConsent,
  ],
  'a mount of /etc/passwd by a relative path': [webWith("volumes: ['PASSWD:/x']"), needsConsent],
  'an env_file outside the inventory directory': [
    webWith('env_file: [../../secret]'),
    needsConsent,
  ],
  'an env_file in the home directory': [
    webWith('env_file: [~/.ssh/id_ed25519]'),
    /not allowed yet|stack shop/,
  ],
  'a config outside the inventory directory': [
    webWith('configs: [c]', 'configs: { c: { file: ../../secret } }'),
    needsConsent,
  ],
  'a build context outside the inventory directory': [webWith('build: ../../extra'), needsConsent],
  'a mount of a directory that contains the home directory': [
    webWith("volumes: ['../..:/x']"),
    /service web uses \S+, which is a directory that contains your home directory/,
  ],
  'a mount through a symbolic link': [webWith("volumes: ['./outside/secret:/x']"), needsConsent],
  'an included Compose file outside the inventory directory': [
    `include: [../../secret]\n${harmless}`,
    /not allowed yet|cannot read stack shop|secret/,
  ],
  'a Compose file included from a registry': [
    `include: [oci://127.0.0.1:9/shop]\n${harmless}`,
    /Compose cannot read stack shop|oci/,
  ],
  'a Compose file included from a Git repository': [
    `include: ['https://127.0.0.1:9/shop.git']\n${harmless}`,
    /Compose cannot read stack shop|https/,
  ],
  'a command in the name of a service': [
    `services: { '$(touch pwned)': { ${service} } }`,
    /Compose cannot read stack shop/,
  ],
  'a command in the name of an image': [
    "services: { web: { image: '$(touch pwned)' } }",
    /not have the image \$\(touch pwned\) [^]*invalid reference format/,
  ],
  'a variable of the local shell': [
    webWith("environment: { TOKEN: '${TOKEN}' }"),
    /variable TOKEN in your shell[^]*--allow-variable TOKEN/,
  ],
  'a provider that runs a local program': [
    'services: { web: { provider: { type: sh, options: { c: touch pwned } } } }',
    /provider|Compose cannot read stack shop/,
  ],
}

describe.skipIf(!canDeployStacks)('a stack', () => {
  let shop: StackLab
  let host: LabHost
  const store = '/var/lib/fleet/stacks/0123abcd/shop'

  beforeAll(async () => {
    shop = await startStackLab({ hosts: 1, ...localCompose })
    ;[host] = shop.hosts as [LabHost]
    const outside = join(shop.ana.folder, '..')
    await writeFile(join(outside, 'secret'), `TOKEN=${secret}\n`)
    await writeFiles(join(outside, 'extra'), { Dockerfile: 'FROM bb:1\n', secret })
    await shop.lay({ 'shop/compose.yaml': harmless, 'shop/site/index': 'hello' })
    await symlink(outside, join(shop.ana.folder, 'shop/outside'))
  })
  afterAll(() => shop?.[Symbol.asyncDispose]())
  const pwned = (): Promise<unknown> =>
    Promise.all(
      [shop.ana.folder, join(shop.ana.folder, 'shop')].map((folder) =>
        expect(stat(join(folder, 'pwned'))).rejects.toThrow('ENOENT'),
      ),
    )

  test.each(Object.entries(files))(
    'with %s is not deployed, and no host receives anything',
    async (_name, [file, why]) => {
      const passwd = relative(join(shop.ana.folder, 'shop'), '/etc/passwd')
      await shop.lay({ 'shop/compose.yaml': file.replace('PASSWD', passwd) })
      const env = { TOKEN: secret }
      const { code, stdout, stderr } = await shop.fleet('deploy --yes --on h1', { env })
      expect({ code, stderr }).toMatchObject({
        code: expect.not.toBeOneOf([0, 70]),
        stderr: expect.stringMatching(why),
      })
      expect(stdout + stderr).not.toContain(secret)
      expect(await onHost(host, `docker ps -aq; grep -rl ${secret} /var/lib/fleet`)).toBe('')
      await pwned()
    },
  )

  test.each(['../x', '-x', 'a/b', '$(touch pwned)'])('cannot be named %s', async (name) => {
    const entry = { compose: 'shop/compose.yaml', on: 'all' }
    await shop.lay({
      'bad.yaml': JSON.stringify({
        version: 1,
        id: '0123abcd',
        stacks: { [name]: entry },
        machines: {},
      }),
    })
    const read = await shop.fleet('plan --inventory bad.yaml')
    expect(read.code).not.toBe(0)
    expect(read.stderr).toContain(name)
    for (const words of [
      ['deploy', name],
      ['stack', 'rm', '--on', 'h1', '--yes', name],
      ['stack', 'rollback', '--on', 'h1', '--yes', name],
    ]) {
      const { code, stderr } = await shop.ana.fleet(
        name.startsWith('-') ? [...words.slice(0, -1), '--', name] : words,
      )
      expect({ words, code, stderr }).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('no stack called'),
      })
    }
    await pwned()
  })

  test('with commands and links in its file names is deployed unchanged', async () => {
    const name = '$(touch pwned) `touch pwned`; \'"*'
    await shop.lay({ 'shop/compose.yaml': harmless, [`shop/site/${name}`]: 'text' })
    await symlink('../outside/secret', join(shop.ana.folder, 'shop/site/link'))
    const pipe = join(shop.ana.folder, 'shop/site/pipe')
    await promisify(execFile)('mkfifo', [pipe])
    expect(await shop.ok('deploy --yes')).toContain(
      `fleet: ${pipe} is neither a file nor a directory, so it is not copied to the hosts of stack shop`,
    )
    const listed = await onHost(host, 'docker exec shop-web-1 ls -A /site')
    expect(listed).toBe(['link', 'index', name].toSorted().join('\n'))
    expect(await onHost(host, `grep -rl ${secret} /var/lib/fleet`)).toBe('')
    expect(await onHost(host, 'find / -xdev -name pwned 2>/dev/null')).toBe('')
    await pwned()
    expect(await shop.ok('plan')).toContain('nothing to do')
  })

  describe("on a host that has replaced part of fleet's data", () => {
    let number = 0
    beforeEach(async () => {
      await host.exec(
        `chattr -i ${store} 2>/dev/null; rm -rf /var/lib/fleet/stacks; mkdir -p ${store}`,
      )
      await shop.lay({ 'shop/compose.yaml': harmless, 'shop/site/index': `text ${number++}` })
    })

    const garbage: Readonly<Record<string, string>> = {
      'a file instead of the releases directory': `echo x >${store}/releases`,
      'garbage in the release records': `mkdir -p ${store}/releases/1 ${store}/releases/2; head -c 99 /dev/urandom >${store}/releases/1/release.json; echo '{"number":2,"state":"ready","images":{"web":7},"by":[]}' >${store}/releases/2/release.json; ln -s 2 ${store}/releases/current`,
      'a link to /etc as the current release': `mkdir -p ${store}/releases/1; ln -s ../../../../../../etc ${store}/releases/current`,
      'garbage in the file records': `mkdir -p ${store}/root; printf '["files/shop/site/index",null]\\n["../../../../etc/passwd",{"type":"file","digest":"0","mode":420}]\\nx\\n' >${store}/shipped; printf '../../../../etc/passwd\\0' >${store}/paths`,
      'a directory as the lock': `mkdir -p ${store}/lock`,
      "a file instead of the stack's directory": `rm -rf ${store}; echo x >${store}`,
      'files of another user': `mkdir -p ${store}/root/files/shop; ln -s /etc ${store}/root/files/shop/site; chown -hR nobody ${store}`,
    }
    test.each(Object.entries(garbage))(
      'with %s, is deployed or fails with an error that names it',
      async (_name, script) => {
        await host.exec(script)
        const { code, stderr } = await shop.fleet('deploy --yes --on h1')
        expect(code).toBeOneOf([0, 1])
        expect(stderr).toMatch(
          /completed 1 of 1|fleet: [^]*(\/var\/lib\/fleet\/stacks\/0123abcd\/shop|stack shop)/,
        )
        expect(await onHost(host, 'ls /etc/index; grep -c root /etc/passwd')).toBe('1')
        const text = await readFile(join(shop.ana.folder, 'shop/site/index'), 'utf8')
        expect(text).toMatch(/^text \d+$/)
        for (const line of ['stack ls', 'stack ps'])
          expect((await shop.fleet(line)).code).toBeOneOf([0, 1])
      },
    )

    test('with escape sequences in the lock owner, does not control the terminal', async () => {
      const owner = JSON.stringify({
        by: '\u001b]0;pwned\u0007\nfleet: all is well',
        at: '\u001b[2J',
        why: 'x'.repeat(9999),
      })
      await writeFile(join(shop.ana.folder, 'owner.json'), owner)
      const lock = host.spawn([
        'sh',
        '-c',
        `cd ${store}; exec 9>>lock; flock 9; cat >lock.json; echo held; sleep 600`,
      ])
      lock.stdin?.end(owner)
      await new Promise((resolve) => lock.stdout?.once('data', resolve))
      const { code, stderr } = await shop.fleet('deploy --yes --on h1')
      lock.kill()
      expect(code).toBe(1)
      expect(stderr).toContain('stack shop is locked')
      expect(stderr).not.toContain('\u0007')
      expect(stderr).not.toContain('\u001b')
      expect(stderr).not.toMatch(/^fleet: all is well/m)
      expect(stderr.length).toBeLessThan(2000)
    })

    test('with a release that reads files of this computer, is not rolled back to it', async () => {
      await shop.ok('deploy --yes --on h1')
      const model = {
        name: 'shop',
        services: { web: { image: 'bb:1', env_file: [{ path: '/etc/passwd' }] } },
      }
      const write = host.spawn(['sh', '-c', `cat >${store}/releases/1/model.json`])
      write.stdin?.end(JSON.stringify(model))
      await new Promise((resolve) => write.once('close', resolve))
      const { code, stderr } = await shop.fleet('stack rollback shop --to 1 --yes --on h1')
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /could access this computer: service web sets the key env_file/,
        ),
      })
    })
  })
})
