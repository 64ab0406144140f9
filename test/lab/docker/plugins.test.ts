import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Seat, modes, takeSeat } from '../../support/docker/docker-client.ts'
import { dockerPlugins } from '../../support/docker/docker-plugins.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'

const { 'docker-compose': plugin } = dockerPlugins

let lab: Lab
let host: LabHost
beforeAll(async () => {
  if (!labIsHere) return
  lab = await startLab({ hosts: 1, engine: true, image: true })
  ;[host] = lab.hosts as [LabHost]
})
afterAll(() => lab?.[Symbol.asyncDispose]())

const compose = `
services:
  web:
    image: bb:\${TAG:-none}
    command: sh -c 'cat /conf/greeting /vars; echo "$$SAID $$FROM_DOT"; sleep 600'
    environment: [SAID, FROM_DOT]
    volumes: ['./conf:/conf', './vars:/vars']
  built:
    build: app
    command: cat /in
`

describe.skipIf(!labIsHere).each(modes)('compose $mode', ({ here }) => {
  let seat: Seat
  let project: string
  beforeAll(async () => {
    seat = await takeSeat(lab, { here })
    project = join(seat.folder, 'Shop 1')
    await mkdir(join(project, 'conf'), { recursive: true })
    await mkdir(join(project, 'app'))
    await writeFile(join(project, 'compose.yml'), compose)
    await writeFile(join(project, 'conf/greeting'), 'good day\n')
    await writeFile(join(project, 'vars'), 'file\n')
    await writeFile(join(project, '.env'), 'FROM_DOT=dotted\nTAG=never\n')
    await writeFile(join(project, 'app/Dockerfile'), 'FROM bb:1\nCOPY in /in\n')
    await writeFile(join(project, 'app/in'), 'built in\n')
    const folder = join(here ? seat.operator.home : '', '.docker/cli-plugins')
    if (!here)
      await host.exec(`mkdir -p ~/.docker/cli-plugins && cp '${plugin}' ~/.docker/cli-plugins/`)
    if (!here) return
    await mkdir(folder, { recursive: true })
    await symlink(plugin ?? '', join(folder, 'docker-compose'))
  })
  afterAll(() => seat?.[Symbol.asyncDispose]())

  test('starts a project from any of its directories, with files and variables, and removes it', async ({
    skip,
  }) => {
    skip(plugin === undefined, 'docker has no compose plugin here')
    const env = { TAG: '1', SAID: `it's "said"`, DOCKER_BUILDKIT: '0' }
    const inside = { cwd: join(project, 'app'), env }
    const outside = { env }
    await seat.ok(['compose', 'up', '-d', 'web'], inside)
    const logs = async () =>
      (
        await seat.docker(
          ['compose', '-f', 'Shop 1/compose.yml', 'logs', '--no-log-prefix', 'web'],
          outside,
        )
      ).stdout
    await expect.poll(logs, { timeout: 120_000 }).toMatch(/good day[^]*file[^]*it's "said" dotted/)
    expect(
      await seat.ok(['compose', 'exec', '-T', 'web', 'cat'], { ...inside, input: 'typed' }),
    ).toBe('typed')
    expect(
      await seat.docker(['compose', 'exec', '-T', 'web', 'sh', '-c', 'exit 7'], inside),
    ).toMatchObject({ code: 7 })
    expect(await seat.ok(['compose', 'run', '--rm', '--build', 'built'], inside)).toContain(
      'built in',
    )
    await seat.ok(['compose', 'down', '-t', '0'], inside)
    expect(await seat.ok(['ps', '-aq'])).toBe('')
  })
})

describe.skipIf(!labIsHere)('buildx', () => {
  test("builds over the engine's socket, and sends the files and secrets that a build requires", async ({
    skip,
  }) => {
    const { 'docker-buildx': buildx } = dockerPlugins
    skip(buildx === undefined, 'docker has no buildx plugin here')
    await using seat = await takeSeat(lab, { here: true })
    const folder = join(seat.operator.home, '.docker/cli-plugins')
    await mkdir(folder, { recursive: true })
    await symlink(buildx ?? '', join(folder, 'docker-buildx'))
    await mkdir(join(seat.folder, 'app'))
    const steps = [
      'FROM bb:1',
      'COPY large /',
      'RUN --mount=type=secret,id=word cat /run/secrets/word > /word',
    ]
    await writeFile(join(seat.folder, 'app/Dockerfile'), steps.join('\n'))
    await writeFile(join(seat.folder, 'app/large'), Buffer.alloc(20_000_000, 'large '))
    const build = ['buildx', 'build', '--secret', 'id=word,env=WORD', '-t', 'bx:1', 'app']
    await seat.ok(build, { env: { WORD: 'between us' } })
    expect(await seat.ok(['run', '--rm', 'bx:1', 'cat', '/word'])).toBe('between us')
    expect(await seat.ok(['run', '--rm', 'bx:1', 'stat', '-c', '%s', '/large'])).toBe('20000000')
  })
})

describe.skipIf(!labIsHere)('buildx on the host', () => {
  test('sends the files and secrets that a build requires, and adds no Dockerfile to the image', async ({
    skip,
  }) => {
    const { 'docker-buildx': buildx } = dockerPlugins
    skip(buildx === undefined, 'docker has no buildx plugin here')
    await using seat = await takeSeat(lab, { here: false })
    await host.exec(`mkdir -p ~/.docker/cli-plugins && cp '${buildx}' ~/.docker/cli-plugins/`)
    const files = {
      'app/Dockerfile': 'FROM bb:1',
      'app/.dockerignore': 'Dockerfile\n',
      'app/in': 'in',
      word: 'of a file',
      Elsewhere: `FROM bb:1
COPY . /c
RUN --mount=type=secret,id=a --mount=type=secret,id=b cat /run/secrets/a /run/secrets/b > /words`,
    }
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(seat.folder, name)), { recursive: true })
      await writeFile(join(seat.folder, name), content)
    }
    const build = ['build', '-t', 'bx:2', '-f', 'Elsewhere', '--metadata-file', 'meta.json']
    const secrets = ['--secret', 'id=a,env=WORD', '--secret', 'id=b,src=word']
    await seat.ok([...build, ...secrets, 'app'], { env: { WORD: 'of the shell, ' } })
    const show = 'cat /words; cd /c; find . -type f | sort'
    expect(await seat.ok(['run', '--rm', 'bx:2', 'sh', '-c', show])).toBe(
      'of the shell, of a file./.dockerignore\n./in',
    )
    expect(await readFile(join(seat.folder, 'meta.json'), 'utf8')).toMatch(
      /"containerimage\.digest"/,
    )
    await host.exec('rm -rf ~/.docker')
  })
})

describe.skipIf(!labIsHere).each(modes)('compose without its plugin, $mode', ({ here }) => {
  test('reports what to install', async () => {
    await using seat = await takeSeat(lab, { here })
    await host.exec('rm -rf ~/.docker')
    await writeFile(join(seat.folder, 'compose.yaml'), 'services: {}\n')
    const env = { DOCKER_CONFIG: seat.folder }
    await expect(seat.docker(['compose', 'up'], { env })).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('compose'),
      hint: expect.stringMatching(/^install /),
    })
  })
})
