import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../../src/cli/program.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-habits-'))
  await writeFile(
    join(folder, 'machines.yaml'),
    'version: 1\nid: 0123abcd\nmachines:\n  web-1: { driver: ssh, options: { address: 192.0.2.1 } }\n',
  )
})
afterAll(() => rm(folder, { recursive: true }))

async function run(line: string) {
  const output = { stdout: '', stderr: '' }
  const collect = (name: 'stdout' | 'stderr') =>
    Object.assign(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          output[name] += chunk.toString()
          done()
        },
      }),
      { isTTY: false },
    )
  const io = {
    ...{ stdin: new PassThrough(), stdout: collect('stdout'), stderr: collect('stderr') },
    env: { FLEET_HOME: join(folder, 'home'), FLEET_BROKER: 'off' },
    cwd: folder,
    signal: new AbortController().signal,
  }
  const code = await runCli(line === '' ? [] : line.split(' '), { io, version: '1.2.3' })
  return { code, ...output }
}

test.each([
  ['regenerate-certs web-1', 'fleet rekey'],
  ['umount ./srv', 'fleet mount -u DIRECTORY'],
  ['unmount ./srv', 'fleet mount -u DIRECTORY'],
  ['scp file web-1:/srv', 'fleet cp'],
  ['inspect -f {{.name}} web-1', '--format'],
  ['context ls', 'docker context ls'],
  ['context use web-1', 'fleet use NAME'],
  ['machine ls', 'fleet ls'],
  ['docker-machine ls', 'fleet ls'],
  ['use-context web-1', 'fleet use NAME'],
  ['halt web-1', 'fleet stop NAME'],
  ['create -d amazonec2 web-2', '--driver aws'],
  ['create web-2 --driver=generic', 'fleet adopt USER@HOST --name NAME'],
  ['create -d none web-2', 'fleet adopt USER@HOST --name NAME'],
  ['create -d digitalocean web-2', 'fleet adopt USER@HOST'],
  ['create --amazonec2-region eu-west-1 web-2', 'fleet create --driver aws --help'],
  ['create -d aws --amazonec2-region=eu-west-1 web-2', 'fleet create --driver aws --help'],
  ['create --azure-location westeurope web-2', 'fleet create --driver azure --help'],
  ['create --virtualbox-memory 4096 web-2', 'fleet create --driver virtualbox --help'],
  ['create --generic-ip-address 192.0.2.1 web-2', 'fleet adopt USER@HOST --name NAME'],
  ['create --digitalocean-size 1gb web-2', 'fleet adopt USER@HOST'],
  ['create web-2 --driver qemu --flavor large', 'for help: fleet create --driver qemu --help'],
  ['adopt ana@bastion -d ssh --flavor large', 'for help: fleet adopt --driver ssh --help'],
  ['create web-2 --flavor large', 'for help: fleet create --help'],
  ['ls -o json', '--json'],
  ['ps -o json', '--json'],
  ['rm -f app', 'fleet container rm -f NAME'],
  ['rm app', 'fleet container rm app'],
  ['rm --forget web-1', 'fleet forget NAME'],
  ['export ssh-config', 'fleet ssh-config'],
  ['adopt ana@bastion --engine-none', '--no-engine'],
  ['create --engine-none web-2 --driver aws', '--no-engine'],
  ['plan --providers-only', '--skip-hosts'],
  ['stop app', 'fleet container stop app'],
  ['rmi nginx', 'fleet image rm'],
  ['image rmi nginx', 'fleet image rm'],
  ['top app', 'fleet container top'],
  ['plugin ls', 'fleet docker plugin'],
  ['get pods', 'fleet ps'],
  ['describe web-1', 'fleet inspect NAME'],
  ['show web-1', 'fleet inspect NAME'],
  ['delete web-1', 'fleet rm NAME'],
  ['remove web-1', 'fleet rm NAME'],
  ['help remove', 'fleet rm NAME'],
  ['edit', 'edit machines.yaml, or run fleet set'],
  ['prune', 'fleet system prune; to delete hosts that are not in the inventory: fleet gc'],
  ['snapshot delete web-1 before', 'did you mean fleet snapshot rm?'],
  ['snapshot create web-1 before', 'did you mean fleet snapshot save?'],
  ['operator create ana', 'did you mean fleet operator add?'],
  ['volume remove data', 'did you mean fleet volume rm?'],
  ['cache prune', 'for help: fleet cache --help'],
  ['apply -f machines.yaml', '--inventory FILE'],
  ['up', 'fleet compose up'],
  ['service create --name web nginx', 'fleet -m SWARM docker service create'],
  ['service rm web', 'fleet -m SWARM docker service rm'],
  ['stack deploy -c compose.yaml shop', 'fleet deploy'],
  ['stack services shop', 'fleet service ls'],
  ['node ls', 'fleet swarm status'],
])('fleet %s fails and names the next step', async (line, hint) => {
  const { code, stdout, stderr } = await run(line)
  expect(code).toBeGreaterThan(0)
  expect(stdout).toBe('')
  expect(stderr).toContain(hint)
})

test.each(['version', '-v', '-V', '--version'])('fleet %s prints the version', async (line) => {
  expect(await run(line)).toEqual({ code: 0, stdout: '1.2.3\n', stderr: '' })
})

test('fleet env -u prints how to unset the variables', async () => {
  expect((await run('env -u --shell bash')).stdout).toContain('unset DOCKER_HOST')
})
