import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Seat, modes, takeSeat } from '../../support/docker/docker-client.ts'
import { dockerPlugins } from '../../support/docker/docker-plugins.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'

const { 'docker-compose': plugin } = dockerPlugins

let lab: Lab
let host: LabHost
beforeAll(async () => {
  if (!labIsHere || plugin === undefined) return
  lab = await startLab({ hosts: 1, engine: true, image: true })
  ;[host] = lab.hosts as [LabHost]
})
afterAll(() => lab?.[Symbol.asyncDispose]())

const out = async (command: string): Promise<string> => (await host.exec(command)).stdout.trim()

/** Creates a user with compose on this computer, or only on the host. */
async function sitDown(here: boolean): Promise<Seat> {
  const seat = await takeSeat(lab, { here })
  await host.exec(`mkdir -p ~/.docker/cli-plugins && cp '${plugin}' ~/.docker/cli-plugins/`)
  if (here) {
    const folder = join(seat.operator.home, '.docker/cli-plugins')
    await mkdir(folder, { recursive: true })
    await symlink(plugin ?? '', join(folder, 'docker-compose'))
  }
  return seat
}

/** Writes files below the user's directory. */
async function lay(seat: Seat, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(seat.folder, name)), { recursive: true })
    await writeFile(join(seat.folder, name), content)
  }
}

const env = { DOCKER_BUILDKIT: '0' }

/** Resolves to the paths of the files that fleet keeps on the host, relative to the user's directory. */
const filesThere = async (seat: Seat): Promise<string[]> =>
  (await out(`cd ~/.cache/fleet/compose 2>/dev/null && find . -path '*${seat.folder}/*' -type f`))
    .split('\n')
    .filter(Boolean)
    .map((path) => path.slice(path.indexOf(seat.folder) + seat.folder.length + 1))
    .sort()

describe.skipIf(!labIsHere || plugin === undefined).each(modes)(
  'files of compose $mode',
  ({ here }) => {
    let seat: Seat
    beforeAll(async () => {
      seat = await sitDown(here)
    })
    afterAll(() => seat?.[Symbol.asyncDispose]())
    const compose = (folder: string, args: readonly string[], more: Record<string, string> = {}) =>
      seat.docker(['compose', ...args], {
        cwd: join(seat.folder, folder),
        env: { ...env, ...more },
      })
    const run = async (folder: string, args: readonly string[], more = {}): Promise<string> => {
      const { code, stdout, stderr } = await compose(folder, args, more)
      expect(stderr).not.toContain('fleet:')
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
      return stdout.trim()
    }

    test("keep a container's changes, receive local changes, and are deleted with the local file", async () => {
      await lay(seat, {
        'p/compose.yaml': `services:
  a:
    image: bb:1
    command: sh -c 'echo of the container > /data/db; rm -f /data/job; echo more > /data/own; cat /data/conf /data/gone; true'
    volumes: ['./data:/data', './one:/one']
`,
        'p/data/db': 'seed',
        'p/data/job': 'to be done',
        'p/data/conf': 'first',
        'p/data/gone': 'still here',
        'p/one': 'one\n',
        'p/node_modules/left/index.js': 'not named by the model',
      })
      const data = () =>
        out(`cd ~/.cache/fleet/compose/p-*/root${seat.folder}/p/data && head -c 20 *`)
      expect(await run('p', ['run', '--rm', 'a'])).toContain('first')
      const before = await data()
      expect(before).toContain('of the container')
      for (const args of [['ps'], ['config', '-q'], ['logs'], ['restart']]) await run('p', args)
      expect(await data()).toBe(before)

      await lay(seat, { 'p/data/conf': 'second' })
      await rm(join(seat.folder, 'p/data/gone'))
      const said = await run('p', [
        'run',
        '--rm',
        'a',
        'sh',
        '-c',
        'cat /data/conf /data/db; ls /data',
      ])
      expect(said.replaceAll(/\s+/g, ' ')).toBe('secondof the container conf db own')
      expect((await filesThere(seat)).join()).not.toContain('node_modules')
      await out('rm -rf ~/.cache/fleet/compose/p-*')
    })

    test('are refused, with a hint, if they changed on both sides, and nothing is copied', async () => {
      await lay(seat, {
        'both/compose.yaml': `services: { a: { image: 'bb:1', volumes: ['./data:/data', './b:/b'] } }`,
        'both/data/db': 'seed',
        'both/b': 'b1',
      })
      await run('both', ['run', '--rm', 'a', 'sh', '-c', 'echo theirs > /data/db'])
      await lay(seat, { 'both/data/db': 'ours', 'both/b': 'b2' })
      const file = join(seat.folder, 'both/data/db')
      await expect(compose('both', ['run', '--rm', 'a', 'true'])).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringContaining(`${file} changed on both this computer and`),
        hint: expect.stringMatching(
          /keep the version on .*fleet (?:cp|ssh) .*to keep the version on this computer: fleet ssh /,
        ),
      })
      const there = `~/.cache/fleet/compose/both-*/root${seat.folder}/both`
      expect(await out(`cat ${there}/data/db ${there}/b`)).toBe('theirs\nb1')
      await out(`rm ${there}/data/db`)
      expect(await run('both', ['run', '--rm', 'a', 'cat', '/data/db', '/b'])).toBe('oursb2')
    })

    test('are written in place if mounted individually, so that the running container sees the change', async () => {
      await lay(seat, {
        'file/compose.yaml': `services: { a: { image: 'bb:1', command: sleep 600, volumes: ['./f:/f'] } }`,
        'file/f': 'old',
      })
      await run('file', ['up', '-d'])
      await lay(seat, { 'file/f': 'new' })
      await run('file', ['start'])
      expect(await run('file', ['exec', '-T', 'a', 'cat', '/f'])).toBe('new')
      await run('file', ['down', '-t', '0'])
    })

    test('include those next to and above the project directory, separately for each project', async () => {
      for (const name of ['shop', 'blog']) {
        await lay(seat, {
          [`${name}/docker/compose.yaml`]: `name: ${name}
include: [{ path: ../more/more.yaml, project_directory: ../more }]
services:
  a:
    image: '${name}:1'
    build: { context: .., dockerfile: docker/Dockerfile }
    env_file: ['../\${WHICH:-common}.env', own.env]
    environment: [FROM_SHELL, 'BACK=\${BACK}']
    volumes: ['../src:/src', '\${PWD}/here:/here', '/etc/hostname:/host']
    command: sh -c 'cat /all/of /src/main /here/x /host; echo "$$COMMON $$BARE $$FROM_SHELL $$BACK $$OVER $$DOT"'
  b: { extends: { file: ../base.yaml, service: b } }
`,
          [`${name}/docker/compose.override.yaml`]: `services: { a: { environment: { OVER: over, DOT: "\${DOT}" } } }`,
          [`${name}/docker/Dockerfile`]: 'FROM bb:1\nCOPY . /all/\n',
          [`${name}/docker/.env`]: `DOT=dot-${name}\n`,
          [`${name}/docker/own.env`]: 'BARE\n',
          [`${name}/docker/here/x`]: 'x\n',
          [`${name}/common.env`]: `COMMON=common-${name}\n`,
          [`${name}/base.yaml`]: `services: { b: { image: 'bb:1', command: ['echo', '\${IN_BASE}'] } }`,
          [`${name}/more/more.yaml`]: `services: { c: { image: 'bb:1', command: ['cat', '/m'], volumes: ['./m:/m'], environment: { INC: '\${INC}' } } }`,
          [`${name}/more/.env`]: 'INC=inc\n',
          [`${name}/more/m`]: `more of ${name}`,
          [`${name}/of`]: `${name}\n`,
          [`${name}/old`]: 'old\n',
          [`${name}/src/main`]: 'main\n',
          [`${name}/.dockerignore`]: 'secret\nDockerfile\n',
          [`${name}/secret`]: 'secret\n',
        })
      }
      const shell = { FROM_SHELL: 'shell', BARE: 'bare', BACK: 'a\\b', IN_BASE: 'base' }
      const said = `main\nx\n${await out('cat /etc/hostname')}`
      const runA = (name: string) => run(`${name}/docker`, ['run', '--rm', '--build', 'a'], shell)
      const saidOf = (name: string) =>
        `${name}\n${said}\ncommon-${name} bare shell a\\b over dot-${name}`
      expect(await runA('shop')).toContain(saidOf('shop'))
      expect(await runA('blog')).toContain(saidOf('blog'))
      const folder = 'shop/docker'
      expect(await run(folder, ['run', '--rm', 'b'], shell)).toBe('base')
      expect(await run(folder, ['run', '--rm', 'c'], shell)).toBe('more of shop')
      await rm(join(seat.folder, 'shop/old'))
      const image = ['run', '--rm', '--build', 'a', 'ls', '/all']
      expect((await run(folder, image, shell)).split('\n')).not.toContain('old')
      expect(await filesThere(seat)).not.toContain('shop/secret')
    })

    test('may come from COMPOSE_FILE, from standard input, and from volumes of run', async () => {
      await lay(seat, {
        'var/a.yaml': `services: { a: { image: 'bb:1' } }`,
        'var/sub/b.yaml': `services: { a: { volumes: ['./x:/x'] }, b: { image: 'bb:1', profiles: [tool], volumes: ['./y:/y'] } }`,
        'var/.env': 'COMPOSE_FILE=a.yaml:sub/b.yaml\n',
        'var/x': 'x',
        'var/y': 'y',
        'var/z/z': 'z',
      })
      expect(await run('var', ['run', '--rm', 'a', 'cat', '/x'])).toBe('x')
      expect(await run('var', ['run', '--rm', 'b', 'cat', '/y'])).toBe('y')
      expect(await run('var', ['run', '--rm', '-v', './z:/z', 'a', 'cat', '/z/z'])).toBe('z')
      const files = { COMPOSE_FILE: `../a.yaml:${join(seat.folder, 'var/sub/b.yaml')}` }
      expect(await run('var/sub', ['config', '--services'], files)).toContain('a')
      const typed = `services: { t: { image: 'bb:1', command: cat /x, volumes: ['./x:/x'] } }`
      const up = ['compose', '-f', '-', '-p', 'typed', 'up', '--no-log-prefix', '--attach', 't']
      const answer = await seat.docker(up, { cwd: join(seat.folder, 'var'), env, input: typed })
      expect(answer).toMatchObject({ code: 0, stdout: expect.stringMatching(/x\n/) })
      await seat.ok(['compose', '-p', 'typed', 'down', '-t', '0'])
    })

    test('belong to a project that docker on the host knows by its name', async () => {
      await lay(seat, {
        'known/compose.yaml': `name: well-known
services: { a: { image: 'bb:1', command: sleep 600, volumes: ['./f:/f'] } }`,
        'known/f': 'f',
      })
      await run('known', ['up', '-d'])
      expect(await out('docker compose -p well-known ps -q | wc -l')).toBe('1')
      expect(await run('known', ['ps', '--format', '{{.Service}}'])).toBe('a')
      await out('docker compose -p well-known down -t 0')
      expect(await run('known', ['ps', '-q'])).toBe('')
    })

    test('do not keep an interrupted container running, and exit codes are returned', async () => {
      await lay(seat, {
        'stop/compose.yaml': `services: { a: { image: 'bb:1', init: true, command: sh -c 'echo begun; sleep 600' } }`,
      })
      const stopping = new AbortController()
      const up = seat.docker(['compose', 'up', '-t', '0'], {
        cwd: join(seat.folder, 'stop'),
        env,
        signal: stopping.signal,
      })
      await expect
        .poll(() => out('docker ps -q --filter name=stop-a-1 | wc -l'), { timeout: 120_000 })
        .toBe('1')
      stopping.abort()
      expect((await up).code).not.toBe(0)
      expect(await out('docker ps -q --filter name=stop-a-1')).toBe('')
      expect((await compose('stop', ['run', '--rm', 'a', 'sh', '-c', 'exit 7'])).code).toBe(7)
      await run('stop', ['down'])
    })

    test('are not written through a symbolic link that a container left', async () => {
      await lay(seat, {
        'link/compose.yaml': `services: { a: { image: 'bb:1', volumes: ['./d:/d'] } }`,
        'link/d/sub/f': '1',
      })
      await out('mkdir -p /srv/outside')
      const swap = 'rm -r /d/sub && ln -s /srv/outside /d/sub'
      await run('link', ['run', '--rm', 'a', 'sh', '-c', swap])
      await lay(seat, { 'link/d/sub/f': '2' })
      await expect(compose('link', ['run', '--rm', 'a', 'true'])).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringContaining('d/sub changed on both'),
      })
      expect(await out('ls -A /srv/outside')).toBe('')
    })
  },
)

describe.skipIf(!labIsHere || plugin === undefined)('compose, local and on the host', () => {
  test("mount the same files, configs and secrets, and do not recreate each other's containers", async () => {
    await using seat = await sitDown(true)
    await lay(seat, {
      'same/compose.yaml': `services:
  a:
    image: bb:1
    command: sh -c 'cat /site/index /etc/app.conf /run/secrets/password; echo "$$FROM_FILE"; exec sleep 600'
    stop_grace_period: 0s
    env_file: [a.env]
    volumes: ['./site:/site', '${seat.folder}/same/absolute:/absolute']
    configs: [{ source: app, target: /etc/app.conf }]
    secrets: [password]
configs: { app: { file: ./app.conf } }
secrets: { password: { file: ./password } }
`,
      'same/site/index': 'site\n',
      'same/absolute': 'absolute\n',
      'same/app.conf': 'config\n',
      'same/password': 'swordfish\n',
      'same/a.env': 'FROM_FILE=variable\n',
    })
    const cwd = join(seat.folder, 'same')
    const up = async (here: boolean): Promise<string> => {
      const path = here ? {} : { PATH: seat.folder }
      await seat.ok(['compose', 'up', '-d'], { cwd, env: { ...env, ...path } })
      return out('docker compose -p same ps -q')
    }
    const id = await up(true)
    expect(await out(`docker logs ${id}`)).toBe('site\nconfig\nswordfish\nvariable')
    expect(await out(`docker exec ${id} cat /absolute`)).toBe('absolute')
    expect([await up(true), await up(false), await up(true)]).toEqual([id, id, id])
    await lay(seat, { 'same/site/index': 'changed\n' })
    await up(false)
    expect(await out(`docker exec ${id} cat /site/index`)).toBe('changed')
    await seat.ok(['compose', 'down', '-t', '0'], { cwd, env })
  })
})

describe.skipIf(!labIsHere || plugin === undefined)('compose on the host', () => {
  test('copies nothing for read-only commands except Compose files, which it deletes', async () => {
    await using seat = await sitDown(false)
    await lay(seat, {
      'r/compose.yaml': `services: { a: { image: 'bb:1', env_file: a.env, volumes: ['.:/x'] } }`,
      'r/a.env': 'A=1',
      'r/data': 'data',
    })
    const there = 'cd ~/.cache/fleet 2>/dev/null && find . | sort'
    const before = await out(there)
    for (const verb of ['ps', 'logs', 'images', 'top', 'stop', 'down']) {
      await seat.ok(['compose', verb], { cwd: join(seat.folder, 'r') })
    }
    expect(await out(there)).toBe(before)
    expect(await out('ls -A /dev/shm')).toBe('')
  })

  test.each(['ana', 'bob'] as const)('keeps files for %s, who is not root', async (user) => {
    await using seat = await takeSeat(lab, { here: false, user })
    const plugins = '.docker/cli-plugins'
    await out(
      `for home in ~ ~${user}; do mkdir -p $home/${plugins}; cp '${plugin}' $home/${plugins}/; done; chown -R ${user}: ~${user}/.docker`,
    )
    await lay(seat, {
      'u/compose.yaml': `services: { a: { image: 'bb:1', volumes: ['./d:/d'] } }`,
      'u/d/one': 'one',
    })
    const cwd = join(seat.folder, 'u')
    const shell = (script: string) =>
      seat.ok(['compose', 'run', '--rm', 'a', 'sh', '-c', script], { cwd, env })
    expect(await shell('cat /d/one; echo mine > /d/own; chmod 600 /d/own')).toBe('one')
    await lay(seat, { 'u/d/one': 'two', 'u/d/e/three': 'three' })
    expect(await shell('cat /d/one /d/e/three /d/own')).toBe('twothreemine')
    expect(await out(`ls -d ~${user}/.cache/fleet/compose/u-*`)).toContain('u-')
  })

  test('puts no values of environment variables on a command line', async () => {
    await using seat = await sitDown(false)
    await lay(seat, {
      's/compose.yaml': `services: { a: { image: 'bb:1', environment: [TOKEN], command: sleep 600 } }`,
    })
    const secret = { TOKEN: "s3cret-of 'mine'\nand more" }
    const cwd = join(seat.folder, 's')
    const running = seat.docker(['compose', 'run', '--rm', '--name', 'holder', 'a'], {
      cwd,
      env: secret,
    })
    await expect
      .poll(() => out('docker ps -q --filter name=holder | wc -l'), { timeout: 120_000 })
      .toBe('1')
    expect(await out('cat /proc/[0-9]*/cmdline | tr "\\0" " "')).not.toContain('s3cret')
    expect(await out('docker exec holder sh -c \'echo "$TOKEN"\'')).toBe(secret.TOKEN)
    await out('docker rm -f holder')
    await running
  })

  test('does not send files that no Compose file names, even if the host asks for them', async () => {
    await using seat = await sitDown(false)
    await lay(seat, {
      'h/compose.yaml': `services: { a: { image: 'bb:1', volumes: ['./data:/etc/passwd'] } }`,
      'h/data': 'data',
      'h/private': 'private',
    })
    const asks = (path: string) => `#!/bin/sh
case "$*" in
*docker-cli-plugin-metadata*) echo '{"SchemaVersion":"0.1.0","Vendor":"x","Version":"v2.0.0"}' ;;
*" config "*) root=\${PWD%${join(seat.folder, 'h')}}
  echo '{"name":"h","services":{"a":{"volumes":[{"type":"bind","source":"'"$root${path}"'"}]}}}' ;;
*) exit 0 ;;
esac
`
    for (const path of [join(seat.folder, 'h/private'), '/etc/passwd', '/', seat.folder]) {
      const script = Buffer.from(asks(path)).toString('base64')
      const plugins = '~/.docker/cli-plugins'
      await out(
        `echo ${script} | base64 -d > ${plugins}/c && chmod +x ${plugins}/c && mv ${plugins}/c ${plugins}/docker-compose`,
      )
      await expect(
        seat.docker(['compose', 'up'], { cwd: join(seat.folder, 'h') }),
      ).rejects.toMatchObject({ message: expect.stringContaining(`requires ${path}`) })
    }
    expect(await filesThere(seat)).toEqual(['h/compose.yaml'])
  })

  test('reports what it does not support', async () => {
    await using seat = await sitDown(false)
    await expect(seat.docker(['compose', 'ps'])).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('no Compose file'),
    })
    await lay(seat, { 'compose.yaml': `services: { a: { image: 'bb:1', env_file: /abs.env } }` })
    for (const args of [['cp', 'a:b', 'c'], ['watch'], ['up', '--watch'], ['config', '-o', 'x']]) {
      await expect(seat.docker(['compose', ...args])).rejects.toMatchObject({ kind: 'unsupported' })
    }
  })
})
