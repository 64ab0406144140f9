import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inspectContainer, listContainers } from '../../src/engine/containers.ts'
import { readDiskUsage, summarizeDiskUsage } from '../../src/engine/disk-usage.ts'
import type { Dial, Engine } from '../../src/engine/engine.ts'
import { openEngine } from '../../src/engine/http-engine.ts'
import { imageLayers } from '../../src/engine/image-layers.ts'
import { inspectImage, listImages, readHistory } from '../../src/engine/images.ts'
import { type LogLine, streamLogs } from '../../src/engine/logs.ts'
import { readStats, streamStats } from '../../src/engine/stats.ts'
import { UserError } from '../../src/errors.ts'
import { readInfo, readVersion, streamEvents } from '../../src/engine/system.ts'
import { collect } from '../support/collect.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../support/lab/lab.ts'
import { until } from '../support/lab/process.ts'

/** Access to a lab host's engine through one connection method. */
export interface EngineAccess extends AsyncDisposable {
  readonly dial: Dial
}

/** Tests that every `Dial` must pass: all kinds of responses, endless streams, and the ways in which they end. */
export function engineContract(
  name: string,
  openWay: (host: LabHost, lab: Lab) => Promise<EngineAccess>,
  options: { readonly sshdOptions?: Readonly<Record<string, string>> } = {},
): void {
  describe.skipIf(!labIsHere)(`an engine over ${name}`, () => {
    let lab: Lab
    let host: LabHost
    let way: EngineAccess
    let engine: Engine

    beforeAll(async () => {
      lab = await startLab({ hosts: 1, engine: true, image: true, ...options })
      ;[host] = lab.hosts as [LabHost]
      way = await openWay(host, lab)
      engine = openEngine(way.dial, { label: host.name })
    })
    afterAll(async () => {
      await engine?.[Symbol.asyncDispose]()
      await way?.[Symbol.asyncDispose]()
      await lab?.[Symbol.asyncDispose]()
    })

    const docker = async (line: string): Promise<string> => {
      const { code, stdout, stderr } = await host.exec(`docker ${line}`)
      if (code !== 0) throw new Error(`docker ${line}: ${stderr}`)
      return stdout.trim()
    }
    const logsOf = (container: string) => collect(streamLogs(engine, container))

    test('reports its information and version', async () => {
      expect(await readInfo(engine)).toMatchObject({ Name: host.name, OSType: 'linux' })
      const version = await docker("version --format '{{.Server.Version}}'")
      expect((await readVersion(engine)).Version).toBe(version)
    })

    test('lists containers: all, filtered, with sizes', async () => {
      await docker('run --name sized --label kind=sized bb:1 dd if=/dev/zero of=/f bs=1000 count=5')
      const filters = { label: ['kind=sized'] }
      expect(await listContainers(engine, { filters })).toEqual([])
      const [found] = await listContainers(engine, { all: true, size: true, filters })
      expect(found).toMatchObject({ Names: ['/sized'], State: 'exited', SizeRw: 5000 })
      expect(found?.SizeRootFs).toBeGreaterThan(1_000_000)
      await docker('create --name untouched --label kind=untouched bb:1 true')
      const [untouched] = await listContainers(engine, {
        all: true,
        size: true,
        filters: { label: ['kind=untouched'] },
      })
      expect(untouched?.SizeRw).toBe(0)
      expect(await listContainers(engine, { limit: 1 })).toHaveLength(1)
    })

    test('inspects a container by its name and by a prefix of its ID', async () => {
      const id = await docker('create --name inspected -t bb:1 true')
      const details = await inspectContainer(engine, 'inspected')
      expect(details).toMatchObject({ Id: id, Name: '/inspected', Config: { Tty: true } })
      expect((await inspectContainer(engine, id.slice(0, 12))).Id).toBe(id)
    })

    test('reports refusals with the message of the engine', async () => {
      await expect(inspectContainer(engine, 'nobody')).rejects.toMatchObject({
        name: 'UserError',
        kind: 'failed',
        message: 'No such container: nobody',
        machine: host.name,
      })
      await expect(inspectImage(engine, 'ns/nothing:1')).rejects.toThrow(
        'No such image: ns/nothing:1',
      )
      await expect(collect(streamLogs(engine, 'nobody'))).rejects.toThrow(
        'No such container: nobody',
      )
    })

    test('never interprets a name as a path', async () => {
      await expect(inspectContainer(engine, '../images/bb:1')).rejects.toMatchObject({
        kind: 'failed',
      })
      await expect(inspectContainer(engine, '')).rejects.toMatchObject({ kind: 'failed' })
    })

    test('lists images and their history, and reports which layers they share', async () => {
      await host.exec(
        [
          'mkdir -p /run/context',
          "printf 'FROM bb:1\\nRUN echo one > /a\\nENV A=b\\n' >/run/context/Dockerfile",
          'DOCKER_BUILDKIT=0 docker build -q -t ns/one:1 /run/context',
          "printf 'FROM ns/one:1\\nRUN echo three > /b\\n' >/run/context/Dockerfile",
          'DOCKER_BUILDKIT=0 docker build -q -t ns/two:1 /run/context',
        ].join(' && '),
      )
      const names = (await listImages(engine)).flatMap(({ RepoTags }) => RepoTags ?? [])
      expect(names).toEqual(expect.arrayContaining(['bb:1', 'ns/one:1', 'ns/two:1']))
      const history = await readHistory(engine, 'ns/one:1')
      expect(history.map(({ Size }) => Size)).toEqual([0, 4, expect.any(Number)])

      const [two] = await imageLayers(engine, { images: ['ns/two:1'] })
      expect(two).toMatchObject({ names: ['ns/two:1'] })
      expect(two?.layers.map(({ size }) => size)).toEqual([expect.any(Number), 4, 6])
      expect(two?.layers.map(({ sharedWith }) => sharedWith.toSorted())).toEqual([
        ['bb:1', 'ns/one:1'],
        ['ns/one:1'],
        [],
      ])
      expect(two?.layers[2]?.createdBy).toContain('echo three')
      const sum = two?.layers.reduce((total, { size = 0 }) => total + size, 0)
      expect(sum).toBe(two?.size)
    })

    test('summarizes disk usage as docker does', async () => {
      const [images, containers] = summarizeDiskUsage(await readDiskUsage(engine))
      const rows = (await docker("system df --format '{{.TotalCount}} {{.Active}}'")).split('\n')
      expect([images, containers].map((row) => `${row?.total} ${row?.active}`)).toEqual(
        rows.slice(0, 2),
      )
    })

    test('reports filtered events up to a point in time', async () => {
      const since = String(Math.floor(Date.now() / 1000) - 1)
      await docker('run --rm --name eventful bb:1 true')
      const until = String(Math.floor(Date.now() / 1000) + 1)
      const filters = { type: ['container'], container: ['eventful'] }
      const events = await collect(streamEvents(engine, { since, until, filters }))
      expect(events.map(({ Action }) => Action)).toEqual(
        expect.arrayContaining(['create', 'start', 'die', 'destroy']),
      )
    })

    test('returns the log lines of each stream in order, with ascending timestamps', async () => {
      const script = 'for i in $(seq 500); do echo out $i; echo err $i >&2; done; printf partial'
      const began = Date.now()
      await docker(`run --name mixed bb:1 sh -c '${script}'`)
      const lines = await logsOf('mixed')
      const numbers = Array.from({ length: 500 }, (_, index) => index + 1)
      expect(printed(lines, 'stdout')).toEqual([...numbers.map((n) => `out ${n}`), 'partial'])
      expect(printed(lines, 'stderr')).toEqual(numbers.map((n) => `err ${n}`))
      const times = lines.filter(({ stream }) => stream === 'stdout').map(({ time }) => time)
      expect(times).toEqual(times.toSorted())
      // The engine uses the host's clock, which may be off by up to a minute, so the time may precede the command's
      // start.
      const first = Date.parse(times[0] ?? '')
      expect(first).toBeGreaterThan(began - 60_000)
      expect(first).toBeLessThan(Date.now() + 60_000)
      expect(await collect(streamLogs(engine, 'mixed', { tail: 2 }))).toHaveLength(2)
    })

    test.each([
      ['without a terminal', ''],
      ['with a terminal', '-t'],
    ])('returns logs %s complete: characters, empty lines and a line of 40 kB', async (_, flag) => {
      const script =
        'printf "gr\\303\\274n\\n\\n"; yes abcdefg | tr -d "\\n" | head -c 40000; echo .'
      const id = await docker(`create ${flag} bb:1 sh -c '${script}'`)
      await docker(`start -a ${id} >/dev/null`)
      const lines = (await logsOf(id)).map(({ line }) => line)
      expect(lines.slice(0, 2)).toEqual(['grün', ''])
      expect(lines[2] === `${'abcdefg'.repeat(6000).slice(0, 40_000)}.`).toBe(true)
      expect(lines).toHaveLength(3)
    })

    test('returns all of 5 MB of logs', async () => {
      const id = await docker('create bb:1 sh -c "seq -w 1 625000"')
      await docker(`start -a ${id} >/dev/null`)
      let count = 0
      for await (const { line } of streamLogs(engine, id)) {
        count += 1
        if (Number(line) !== count) throw new Error(`line ${count} is ${line}`)
      }
      expect(count).toBe(625_000)
    })

    test('streams followed logs immediately, until the container exits', async () => {
      const id = await docker(
        'run -d bb:1 sh -c "echo first; while [ ! -e /go ]; do sleep 0.01; done; echo last"',
      )
      const seen: string[] = []
      for await (const { line } of streamLogs(engine, id, { follow: true })) {
        seen.push(line)
        if (line === 'first') await docker(`exec -d ${id} touch /go`)
      }
      expect(seen).toEqual(['first', 'last'])
    })

    const openFiles = async () =>
      Number((await host.exec('ls /proc/$(cat /run/docker.pid)/fd | wc -l')).stdout)
    const fewerFilesThan = (before: number) =>
      until('the engine to close files', async () => (await openFiles()) < before || undefined)

    test("closes a followed stream on the engine's side after an abort or a break out of the loop", async () => {
      const id = await docker('run -d bb:1 sh -c "echo first; sleep 1000"')
      const controller = new AbortController()
      const reason = new Error('enough')
      const follow = streamLogs(engine, id, { follow: true, signal: controller.signal })
      expect((await follow.next()).value).toMatchObject({ line: 'first' })
      const whileFollowed = await openFiles()
      const waiting = follow.next()
      controller.abort(reason)
      await expect(waiting).rejects.toBe(reason)
      await fewerFilesThan(whileFollowed)

      let whileLooped = 0
      for await (const _ of streamLogs(engine, id, { follow: true })) {
        whileLooped = await openFiles()
        break
      }
      await fewerFilesThan(whileLooped)
      await docker(`rm -f ${id}`)
    })

    test('rejects with the reason of an abort before the answer', async () => {
      const signal = AbortSignal.timeout(50)
      const events = collect(streamEvents(engine, { signal }))
      await expect(events).rejects.toMatchObject({ name: 'TimeoutError' })
      await expect(readInfo(engine, AbortSignal.abort(new Error('no')))).rejects.toThrow('no')
    })

    test('reads stats of a busy container and of a stopped one', async () => {
      const id = await docker('run -d --name busy bb:1 sh -c "while :; do :; done"')
      for await (const sample of streamStats(engine, 'busy')) if (sample.cpuPercent > 1) break
      const stats = await readStats(engine, 'busy')
      expect(stats).toMatchObject({ id, name: 'busy', pids: 1 })
      expect(stats.cpuPercent).toBeGreaterThan(1)
      expect(stats.memory.used).toBeGreaterThan(0)
      expect(stats.memory.limit).toBeGreaterThan(stats.memory.used)
      await docker('kill busy')
      expect(await readStats(engine, 'busy')).toMatchObject({ cpuPercent: 0, pids: 0 })
    })

    test('answers 20 concurrent requests', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => listContainers(engine, { all: true })),
      )
      expect(new Set(answers.map((answer) => answer.length)).size).toBe(1)
    })

    test('answers the next request after the engine was restarted', async () => {
      await Promise.all(Array.from({ length: 5 }, () => readInfo(engine)))
      await host.exec('docker kill $(docker ps -q)') // otherwise, the engine would wait for the containers to stop
      await restartEngine(host)
      expect((await readInfo(engine)).Name).toBe(host.name)
    })

    test('reports a stream that the engine breaks off, and fails later requests', async () => {
      const id = await docker('run -d bb:1 sh -c "echo first; sleep 1000"')
      const follow = streamLogs(engine, id, { follow: true })
      await follow.next()
      const failure = follow.next().catch((error: unknown) => error)
      await host.exec('kill -KILL $(cat /run/docker.pid)')
      expect(await failure).toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('the connection to the engine was lost'),
      })
      await expect(readInfo(engine)).rejects.toBeInstanceOf(UserError)
    })
  })
}

const printed = (lines: readonly LogLine[], stream: 'stdout' | 'stderr') =>
  lines.filter((line) => line.stream === stream).map(({ line }) => line)

/** Stops the engine gracefully once its containers are killed, and restarts it with the same command line. */
async function restartEngine(host: LabHost): Promise<void> {
  const { code, stderr } = await host.exec(
    [
      'pid=$(cat /run/docker.pid)',
      'cp /proc/$pid/cmdline /run/engine-command',
      'kill $pid',
      'while kill -0 $pid 2>/dev/null; do sleep 0.05; done',
      'xargs -0 -a /run/engine-command sh -c \'setsid "$@" >>/var/log/dockerd.log 2>&1 </dev/null &\' sh',
      'until docker version >/dev/null 2>&1; do sleep 0.05; done',
    ].join('\n'),
  )
  if (code !== 0) throw new Error(`the engine did not start again: ${stderr}`)
}
