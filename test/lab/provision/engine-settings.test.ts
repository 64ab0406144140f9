import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyTo, orderChanges } from '../../../src/operations/plan/apply-plan.ts'
import type { Change, ChangePlan } from '../../../src/operations/plan/change-plan.ts'
import { approvedChanges } from '../../../src/operations/plan/destructive-changes.ts'
import { makePlan } from '../../../src/operations/plan/make-plan.ts'
import { provisionMachine } from '../../../src/operations/provision/provision-machine.ts'
import { planSettings } from '../../../src/provision/engine/settings/plan-settings.ts'
import { readEngineState, settingsOf } from '../../../src/operations/provision/prepare-settings.ts'
import { type BootedHost, bootHost } from '../../support/booted-host/booted-host.ts'
import { type LabRegistries, startRegistries } from '../../support/docker/lab-registry.ts'
import { login } from '../../support/docker/registry-login.ts'
import { installNewerEngine } from '../../support/docker/newer-engine.ts'
import { runHere } from '../../support/in-process/run.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type Switch, addSwitch, removeSwitch } from '../../support/lab/network.ts'
import { type Operator, makeOperator } from '../../support/operator.ts'
import { testIf } from '../../support/vitest/test-if.ts'

const { signal } = new AbortController()
const trust = { kind: 'ask' } as never

const optionsOf = ({ changes }: ChangePlan) =>
  changes.flatMap(({ options = [], effect }) =>
    options.map(({ option, to }) => `${effect} ${option} ${to}`),
  )

describe.skipIf(!labIsHere)('the settings of an engine', { timeout: 600_000 }, () => {
  let network: Switch
  let host: BootedHost
  let operator: Operator
  let registries: LabRegistries

  const onHost = async (command: string): Promise<string> => {
    const { code, stdout, stderr } = await host.exec(command)
    if (code !== 0) throw new Error(`${command}: ${stderr}${stdout}`)
    return stdout.trim()
  }
  const daemonJson = () => onHost('cat /etc/docker/daemon.json 2>/dev/null || true')
  const enginePid = () => onHost('cat /var/run/docker.pid')
  const startOf = (container: string) =>
    onHost(`docker inspect -f '{{.State.Running}} {{.State.StartedAt}}' ${container}`)

  /** Writes the `engine` key of the machine `m` into the inventory. */
  const setEngine = (engine: unknown) =>
    writeFile(
      operator.inventoryFile,
      `version: 1
id: 0123abcd
machines:
  m:
    driver: ssh
    options: { address: ${host.address}, user: debian }
    engine: ${JSON.stringify(engine)}
    host:
      phase: ready
      address: ${host.address}
      user: debian
      hostKeys: [${host.hostKey}]
`,
    )
  async function plan(): Promise<ChangePlan> {
    await using fleet = operator.open()
    const made = await makePlan(fleet, { timeoutMs: 120_000, progress() {} })
    return { ...made, changes: made.changes.filter(({ action }) => action === 'engine-config') }
  }
  /** Applies the changes that do not need confirmation, or all changes if `confirmed`. */
  async function apply(made: ChangePlan, confirmed = false): Promise<readonly Change[]> {
    await using fleet = operator.open()
    const inventory = await (await fleet.inventory()).read()
    const changes = approvedChanges(made, new Set(confirmed ? ['m'] : []))
    for (const part of orderChanges(inventory, changes)) {
      await applyTo(fleet, inventory)(part, { progress() {}, signal, trust })
    }
    return changes
  }

  const runFleet = (...words: string[]) =>
    runHere([...words, '--inventory', operator.inventoryFile], {
      cwd: operator.home,
      env: { ...operator.env, FLEET_BROKER: 'off' },
    })
  const fleetApply = (...words: string[]) => runFleet('apply', ...words)

  beforeAll(async () => {
    network = await addSwitch()
    registries = await startRegistries(network.address)
    host = await bootHost({ place: { network, address: `${network.prefix}.11` } })
    operator = await makeOperator({ identity: host.identity.file })
    await mkdir(join(dirname(operator.inventoryFile), 'certs'))
    await writeFile(
      join(dirname(operator.inventoryFile), 'certs/reg.pem'),
      `subject=stand-in\n${registries.certificates.ca}`,
    )
    await onHost(`echo '${network.address} reg.lab' >>/etc/hosts; cloud-init status --wait`)
  }, 600_000)
  afterAll(async () => {
    await operator?.[Symbol.asyncDispose]()
    await host?.[Symbol.asyncDispose]()
    await registries?.[Symbol.asyncDispose]()
    await removeSwitch(network)
  })

  // Docker Machine's test/integration/core/engine-options.bats, with its values
  describe("given as options of fleet create, like Docker Machine's", () => {
    test('are in use from the start', async () => {
      const created = await runFleet(
        ...['create', 'm', '--driver', 'ssh', '--address', host.address, '--user', 'debian'],
        ...['--engine-label', 'spam=eggs', '--engine-storage-driver', 'overlay2'],
        ...['--engine-insecure-registry', 'registry.myco.com', '--engine-env', 'TEST=VALUE'],
        ...['--engine-env', 'LAB=a "b" 5%', '--engine-opt', 'log-driver=none'],
        ...['--engine-registry-mirror', `http://${registries.plain}`],
        ...['--install-engine', '--accept-new', '--yes'],
      )
      expect(created).toMatchObject({ code: 0 })
      await onHost(`
        mkdir -p /root/image/bin && cp /bin/dash /root/image/bin/sh && cp /bin/sleep /root/image/bin/sleep
        ldd /bin/dash /bin/sleep | grep -o '/lib[^ ]*' | sort -u | xargs -I{} cp --parents -L {} /root/image
        tar -C /root/image -c . | docker import - shell:1 >/dev/null`)
      expect((await plan()).changes).toEqual([])
    })

    test.each([
      ['the label', `docker info | grep spam`, 'spam=eggs'],
      ['the storage driver', `docker info | grep 'Storage Driver'`, 'Storage Driver: overlay2'],
      [
        'the insecure registry',
        `docker info | sed -n '/Insecure Registries/,/^ [A-Z]/p'`,
        'registry.myco.com',
      ],
      ['the mirror', `docker info | sed -n '/Registry Mirrors/,/^ [A-Z]/p'`, 'http://'],
      [
        'the environment',
        `tr '\\0' '\\n' </proc/$(cat /var/run/docker.pid)/environ | grep -e TEST -e LAB`,
        'TEST=VALUE\nLAB=a "b" 5%',
      ],
      [
        'the log driver, also of containers',
        `docker run --name nolog --network none shell:1 sh -c 'echo this should not be logged'
         docker inspect -f 'type={{.HostConfig.LogConfig.Type}}' nolog && docker rm nolog`,
        'type=none',
      ],
    ])('include %s', async (_what, command, expected) => {
      expect(await onHost(command)).toContain(expected)
    })

    test('do not include an installation script, which is refused with a hint', async () => {
      const url = ['--engine-install-url', 'https://test.docker.com']
      expect(await runFleet('create', 'n', '--driver', 'ssh', ...url)).toMatchObject({
        ...{ code: 2, stderr: expect.stringContaining('--engine-channel test') as string },
      })
    })
  })

  describe.each([
    { name: 'from the distribution', newer: false, store: false },
    { name: 'of a newer release', newer: true, store: false },
    { name: 'of a newer release with the containerd image store', newer: true, store: true },
  ])('$name', ({ newer, store }) => {
    const tag = store ? 'store' : newer ? 'newer' : 'older'
    const features = store ? { features: { 'containerd-snapshotter': true } } : {}

    beforeAll(async () => {
      if (newer && !store) {
        await onHost('systemctl stop docker.socket docker.service containerd')
        await installNewerEngine(host.root)
        await onHost('systemctl daemon-reload; systemctl start containerd docker.service')
      }
      if (!store) return
      // The root directory of a booted host is an overlay, which cannot be the lower layer of another one.
      await onHost(`systemctl stop docker.socket docker.service containerd
        mkdir -p /var/lib/docker/of-containerd /var/lib/containerd
        mount --bind /var/lib/docker/of-containerd /var/lib/containerd
        systemctl start containerd docker.service`)
      await setEngine({ config: { labels: ['tier=front'], ...features } })
      const made = await plan()
      expect(made.changes.filter(({ destructive }) => destructive)).toMatchObject([
        { options: [{ option: 'features.containerd-snapshotter', to: 'true' }] },
      ])
      await apply(made, true)
      expect(await onHost("docker info --format '{{.DriverStatus}}'")).toContain('containerd')
    }, 600_000)

    test('change registries and labels without restarting containers, as pulls show', async () => {
      await onHost(`rm -rf /root/.docker /etc/docker/certs.d
        printf '{\\n    "shutdown-timeout": 7,\\n    "labels": ["tier=front"]%s\\n}\\n' '${store ? ', "features": {"containerd-snapshotter": true}' : ''}' >/etc/docker/daemon.json
        systemctl restart docker
        tar -C /root/image -c . | docker import - shell:1 >/dev/null
        docker rm -f steady >/dev/null 2>&1 || true
        docker run -d --name steady --network none shell:1 sh -c 'while :; do sleep 1; done'`)
      const [pid, started] = [await enginePid(), await startOf('steady')]
      await setEngine({
        config: { labels: ['tier=back'], ...features },
        registries: {
          [registries.plain]: { insecure: true },
          [registries.secure]: { ca: 'certs/reg.pem' },
          'docker.io': { mirror: `http://${registries.plain}` },
        },
      })
      const made = await plan()
      expect(optionsOf(made)).toEqual([
        'live labels ["tier=back"]',
        `live insecure-registries ["${registries.plain}"]`,
        `live registry-mirrors ["http://${registries.plain}"]`,
        expect.stringMatching(/^live CA of reg\.lab:5443 SHA256:/),
      ])
      expect(made.changes[0]?.why).toContain('without a restart')
      await apply(made)
      expect(await enginePid()).toBe(pid)
      expect(await startOf('steady')).toBe(started)
      expect(await daemonJson()).toMatch(/^\{\n {4}"shutdown-timeout": 7,/)
      expect(await onHost("docker info --format '{{.Labels}}'")).toBe('[tier=back]')
      await onHost(`
        docker tag shell:1 ${registries.plain}/library/mirrored-${tag}:1
        docker push -q ${registries.plain}/library/mirrored-${tag}:1
        docker rmi ${registries.plain}/library/mirrored-${tag}:1
        docker pull -q mirrored-${tag}:1
        docker rmi mirrored-${tag}:1
        docker pull -q ${registries.plain}/library/mirrored-${tag}:1`)
      const denied = await host.exec(
        `docker pull -q ${registries.secure}/library/mirrored-${tag}:1`,
      )
      expect(denied.stderr).toMatch(/no basic auth|unauthorized|denied|authorization failed/i)
      await onHost(`docker login -u ${login.user} -p ${login.password} ${registries.secure}
        docker pull -q ${registries.secure}/library/mirrored-${tag}:1`)
      expect((await plan()).changes).toEqual([])
    })

    test('show changes made by hand, and keep other keys', async () => {
      await onHost(
        `sed -i 's/tier=back/tier=hand/; s/"shutdown-timeout": 7/"shutdown-timeout": 8/' /etc/docker/daemon.json`,
      )
      const made = await plan()
      expect(optionsOf(made)).toEqual(['live labels ["tier=back"]'])
      await apply(made)
      expect(JSON.parse(await daemonJson())).toMatchObject({
        ...{ 'shutdown-timeout': 8, labels: ['tier=back'] },
      })
    })

    test('restart the containers if the engine needs a restart', async () => {
      const started = await startOf('steady')
      await setEngine({
        config: { 'log-driver': 'local', 'log-opts': { 'max-size': '5m' }, ...features },
        environment: { LAB: tag },
      })
      const made = await plan()
      expect(made.changes).toMatchObject([
        {
          effect: 'restart',
          why: expect.stringContaining('restarts the engine and 1 running container'),
        },
      ])
      await apply(made)
      expect(await startOf('steady')).toMatch(/^true /)
      expect(await startOf('steady')).not.toBe(started)
      expect(await onHost("docker info --format '{{.LoggingDriver}}'")).toBe('local')
      expect(await onHost(`tr '\\0' '\\n' </proc/$(cat /var/run/docker.pid)/environ`)).toContain(
        `LAB=${tag}`,
      )
      expect((await plan()).changes).toEqual([])
    })

    test('are completed by the next apply after a kill between write and restart', async () => {
      await setEngine({ config: { mtu: 1400, ...features }, environment: { LAB: 'killed' } })
      const pid = await enginePid()
      await using fleet = operator.open()
      const machine = await operator.machine('m')
      if (machine === undefined) throw new Error('no machine')
      const transport = await fleet.connect(machine)
      const target = { machine: machine.name, transport, socket: undefined, signal }
      const settings = await settingsOf(fleet, machine)
      if (settings === undefined) throw new Error('no settings')
      const state = await readEngineState(target, settings)
      const [, , script = '', ...words] =
        planSettings(state, settings, { destructive: false }).step?.command ?? []
      const killed = script.replace('\nrestart() {', () => '\nrestart() { kill -9 $$')
      expect(killed).not.toBe(script)
      await writeFile(join(host.root, 'root/killed'), killed)
      await host.exec(
        `sh /root/killed ${words
          .slice(1)
          .map((word) => `'${word}'`)
          .join(' ')}`,
      )
      expect(JSON.parse(await daemonJson())).toMatchObject({ mtu: 1400 })
      expect(await enginePid()).toBe(pid)
      const made = await plan()
      expect(optionsOf(made)).toEqual(['restart interrupted change applied'])
      await apply(made)
      expect(await enginePid()).not.toBe(pid)
      expect(await startOf('steady')).toMatch(/^true /)
      expect(await onHost('ls /etc/docker')).not.toContain('pending')
      expect((await plan()).changes).toEqual([])
    })

    // With the containerd image store, the engine has no other storage drivers.
    testIf(!store)('do not include another storage driver without a confirmation', async () => {
      await setEngine({ config: { 'storage-driver': 'vfs', ...features } })
      const [before, pid, made] = [await daemonJson(), await enginePid(), await plan()]
      expect(made.changes).toMatchObject([{ effect: 'destructive', destructive: true }])
      expect(await apply(made)).toEqual([])
      await using fleet = operator.open()
      const machine = await operator.machine('m')
      if (machine === undefined) throw new Error('no machine')
      const calls = { progress() {}, approve: async () => true }
      expect(await provisionMachine(fleet, machine, calls)).toMatchObject({
        ...{ plan: [], skipped: [{ option: 'storage-driver' }] },
      })
      const skipped = await fleetApply('--yes')
      expect(skipped).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /confirmation is required[^]*fleet apply --destroy m/,
        ) as string,
      })
      expect(await daemonJson()).toBe(before)
      expect(await enginePid()).toBe(pid)
    })

    testIf(!store)(
      'with a confirmation, hide images and containers until the old storage driver is restored',
      async () => {
        const [before, driver] = [await daemonJson(), await onHost(`docker info -f '{{.Driver}}'`)]
        await onHost('docker volume create kept')
        const objects = () => onHost('docker ps -aq; docker images -q; docker volume ls -q')

        const vfs = await fleetApply('--yes', '--destroy', 'm')
        expect(vfs).toMatchObject({ code: 0 })
        expect(vfs.stderr).toMatch(/storage-driver not set -> vfs; .*its images and containers;/)
        expect(await onHost(`docker info -f '{{.Driver}}'`)).toBe('vfs')
        expect(await objects()).toBe('kept')
        expect((await plan()).changes).toEqual([])

        await setEngine({
          config: { 'storage-driver': driver, 'data-root': '/var/lib/docker/other' },
        })
        const moved = await fleetApply('--yes', '--destroy', 'm')
        expect(moved).toMatchObject({ code: 0 })
        expect(moved.stderr).toMatch(
          /its images, containers and volumes; stops 0 running containers/,
        )
        expect(await objects()).toBe('')

        await setEngine({ config: { 'storage-driver': null, 'data-root': null } })
        expect((await fleetApply('--yes')).code).toBe(1)
        expect(await fleetApply('--yes', '--destroy', 'm')).toMatchObject({ code: 0 })
        expect(JSON.parse(await daemonJson())).toEqual(JSON.parse(before))
        expect(await onHost('docker volume rm kept')).toBe('kept')
        expect(await startOf('steady')).toMatch(/^false /)
        await onHost('docker start steady')
      },
    )
    test.each([
      ['an unknown key', { 'no-such-key': 1 }, /no-such-key/],
      ['a value of the wrong type', { labels: 'tier=x' }, /label|string|slice|array/],
      [
        'a port that is in use',
        { 'metrics-addr': '127.0.0.1:22', experimental: true },
        /address already in use|experimental/,
      ],
    ])('with %s are rolled back, and the engine runs', async (_what, config, reason) => {
      await setEngine({ config: { ...config, ...features } })
      const [before, made] = [await daemonJson(), await plan()]
      await expect(apply(made)).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(reason) as string,
      })
      expect(await daemonJson()).toBe(before)
      expect(await startOf('steady')).toMatch(/^true /)
      await setEngine({ config: features })
      expect((await plan()).changes).toEqual([])
    })

    test('report a broken daemon.json as an issue and do not change it', async () => {
      const before = await daemonJson()
      await onHost(`echo '{ "mtu": ' >/etc/docker/daemon.json`)
      try {
        await setEngine({ config: { debug: true } })
        const made = await plan()
        expect(made.issues).toMatchObject([{ why: expect.stringContaining('not valid JSON') }])
        expect(await daemonJson()).toBe('{ "mtu":')
      } finally {
        await writeFile(join(host.root, 'etc/docker/daemon.json'), before)
      }
    })
  })
})
