import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dockerPlugins } from '../../support/docker/docker-plugins.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { makeKey } from '../../support/lab/ssh-key.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'
import { startExtraSshd } from '../../support/ssh/extra-sshd.ts'
import { type Breakage, breakages, hostToken } from './breakages.ts'

const { 'docker-compose': plugin } = dockerPlugins

interface Row {
  readonly machine?: string
  readonly check: string
  readonly state: string
  readonly message: string
  readonly fix?: string
}

/** Number of healthy machines, each of which is a port of an sshd process on one host. */
const healthy = 50
/** Maximum number of addresses that one sshd listens on. */
const portsOfSshd = 16

/** Secrets of this computer. No output and no trace may contain them. */
const secrets = {
  AWS_SECRET_ACCESS_KEY: 'canary-aws-wJalrXUtnFEMI/K7MDENG',
  AZURE_CLIENT_SECRET: 'canary-azure-8Q~abcdefghij',
  REGISTRY_PASSWORD: 'canary-registry-hunter2',
}

/** Returns an entry of the inventory, which is written as JSON, a subset of YAML. */
const entryOf = (
  host: LabHost,
  hostKey: string,
  {
    user = 'root',
    port = 22,
    address = host.address,
    key,
    via,
    sshAlias,
    labels,
    hasEngine = false,
  }: {
    user?: string | undefined
    port?: number | undefined
    address?: string | undefined
    key?: string | undefined
    via?: string | undefined
    sshAlias?: string | undefined
    labels: Readonly<Record<string, string>>
    hasEngine?: boolean | undefined
  },
) => ({
  ...{ driver: 'ssh', options: { address, port, user }, labels },
  ...(via !== undefined && { via }),
  ...(!hasEngine && { engine: 'none' }),
  host: {
    ...{ phase: 'ready', address, port, user, hostKeys: [hostKey] },
    ...{ ...(key && { key }), ...(sshAlias && { sshAlias }) },
  },
})

describe.skipIf(!labIsHere)('fleet doctor', () => {
  let lab: Lab
  let engines: Lab
  let ana: TestUser
  const disposals: (() => void)[] = []
  /** Errors of the breakages that could not be applied, keyed by name. */
  const unbroken = new Map<string, unknown>()
  let rows: readonly Row[] = []
  let answer: Awaited<ReturnType<TestUser['fleet']>>

  const inventory: { version: 1; id: string; machines: Record<string, object> } = {
    ...{ version: 1, id: '0123abcd', machines: {} },
  }
  const writeInventory = () =>
    writeFile(join(ana.folder, 'machines.yaml'), JSON.stringify(inventory, undefined, 2))

  const held = (dispose: () => void) => void disposals.push(dispose)

  beforeAll(async () => {
    const alone = breakages.filter(({ on }) => on === undefined)
    ;[lab, engines] = await Promise.all([
      startLab({ hosts: alone.length }),
      startLab({ hosts: 2, engine: true }),
    ])
    // One key is authorized on the hosts of both labs.
    const { publicKey } = lab.identity
    for (const host of [...lab.hosts, ...engines.hosts]) {
      await host.exec(
        `for home in /srv/*; do
          echo '${publicKey}' >> $home/.ssh/authorized_keys
          mkdir -p $home/.docker/cli-plugins && cp '${plugin}' $home/.docker/cli-plugins/docker-compose
          chown -R --reference=$home $home/.docker
        done`,
      )
    }
    for (const host of engines.hosts)
      await host.exec('mount -t tmpfs -o size=8g tmpfs /var/lib/docker')
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    const agent = { SSH_AUTH_SOCK: join(ana.home, 'no-agent') }
    const configureSsh = async (text: string): Promise<void> => {
      await mkdir(join(ana.home, '.ssh'), { recursive: true, mode: 0o700 })
      await writeFile(join(ana.home, '.ssh/config'), text)
    }
    const agentKey = await makeKey(join(ana.home, 'agent-key'), 'agent')
    const hostFor = ({ on, name }: Breakage): LabHost =>
      on === undefined
        ? hostOf(lab, alone.findIndex((one) => one.name === name) + 1)
        : hostOf(engines, on === 'engine' ? 1 : 2)
    const pinned = new Map(breakages.map((one) => [one.name, hostFor(one).hostKey]))
    const work = breakages.map(async (breakage) => {
      const { name, via, hasEngine } = breakage
      const host = hostFor(breakage)
      const labels = { set: 'broken' }
      const warm = async () => {
        inventory.machines[name] = entryOf(host, pinned.get(name) ?? '', { labels })
        await writeInventory()
        expect(await ana.fleet(['ssh', name, '--', 'true'], { env: agent })).toMatchObject({
          code: 0,
        })
      }
      const login =
        (await breakage
          .break({ host, agentKey, held, warm, configureSsh })
          .catch((error: unknown) => {
            unbroken.set(name, error)
          })) ?? {}
      inventory.machines[name] = entryOf(host, pinned.get(name) ?? '', {
        ...{ ...login, labels, hasEngine, via },
      })
    })
    await Promise.all(work)
    const good = hostOf(engines, 1)
    for (let first = 0; first < healthy; first += portsOfSshd) {
      const ports = Array.from({ length: Math.min(portsOfSshd, healthy - first) }, (_, index) =>
        String(3000 + first + index),
      )
      const [port = '', ...more] = ports
      await startExtraSshd(good, Number(port), {
        AddressFamily: 'inet', // each port counts as one address per address family
        MaxStartups: `500${more.map((other) => `\nPort ${other}`).join('')}`,
      })
      for (const one of ports) {
        inventory.machines[`ok-${one}`] = entryOf(good, good.hostKey, {
          ...{ port: Number(one), labels: { set: 'healthy' }, hasEngine: true },
        })
      }
    }
    await writeInventory()
    expect(await ana.fleet(['trust', 'alias', 'proxy-command'])).toMatchObject({ code: 0 })
    const env = { ...secrets, ...agent, FLEET_DEBUG: '1' }
    answer = await ana.fleet(['doctor', '--on', 'set=broken', '--json'], { env })
    rows = JSON.parse(answer.stdout) as Row[]
  }, 240_000)
  afterAll(async () => {
    for (const dispose of disposals) dispose()
    await Promise.all([
      ana?.[Symbol.asyncDispose](),
      lab?.[Symbol.asyncDispose](),
      engines?.[Symbol.asyncDispose](),
    ])
  })

  describe('for a machine with one defect', () => {
    test.each(breakages)(
      'reports only the finding of the check $check: $name',
      ({ name, check, state = 'fail', says, fix, skips = [] }) => {
        if (unbroken.has(name)) throw unbroken.get(name)
        const own = rows.filter(({ machine }) => machine === name)
        const findings = own.filter((row) => row.state === 'fail' || row.state === 'warn')
        expect(findings).toEqual([
          {
            machine: name,
            check,
            state,
            message: expect.stringMatching(says),
            fix: expect.stringMatching(fix ?? /./),
          },
        ])
        const skipped = own.filter((row) => row.state === 'skipped').map((row) => row.check)
        expect(skipped).toEqual(expect.arrayContaining([...skips]))
      },
    )
  })

  test('exits with code 1, and reports the missing agent of this computer', () => {
    expect(answer.code).toBe(1)
    expect(rows.find((row) => row.machine === undefined && row.check === 'agent')).toMatchObject({
      ...{ state: 'warn', message: expect.stringContaining('no-agent') },
    })
  })

  test('prints no secrets of this computer or of a host, not even in its trace', () => {
    for (const output of [answer.stdout, answer.stderr]) {
      for (const secret of [...Object.values(secrets), hostToken]) {
        expect(output.includes(secret)).toBe(false)
      }
      expect(output).not.toMatch(/PRIVATE KEY/)
    }
    expect(answer.stderr).toMatch(/ ssh \w+ /) // the login was traced
  })

  test(`reports ${healthy} healthy machines as healthy`, async () => {
    const args = ['doctor', '--on', 'set=healthy']
    const { code, stdout, stderr } = await ana.fleet(args)
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toMatch(
      new RegExp(`^(?:waiting for .*\\n)*all ${healthy} machines are healthy\\n$`),
    )
  }, 120_000)
})
