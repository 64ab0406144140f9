import { exitCodes } from '../../../src/errors.ts'
import { addresses, hostileInventories } from './inventories.ts'
import { type Deed, openSandbox } from './sandbox.ts'

/** What people, cron and editors run in a clone that they have just made. */
const commands = [
  'ls',
  'check',
  'inspect web-1',
  'plan --timeout 2',
  'apply --yes --accept-new --timeout 2',
  'rm web-1 --yes',
  'gc --yes',
  'export ansible',
  'export prometheus',
  'export terraform-import',
  'ssh-config',
  'operator ls',
  '__complete ssh w',
  'ip web-1',
  'stop web-2',
].map((line) => line.split(' '))

/** The least that a command takes in turn: each inventory sees so many of them. */
const each = 4

/** Hosts that entries name, and the APIs of providers. */
const mayDial = new RegExp(
  `^(?:${addresses.map((one) => one.replaceAll('.', String.raw`\.`)).join('|')}|(?:ec2|sts)\\.[a-z0-9-]+\\.amazonaws\\.com|management\\.azure\\.com|login\\.microsoftonline\\.com|cloud\\.debian\\.org|.*docker\\.sock)(?::\\d+)?$`,
)

/** Questions alone. */
const mayRun =
  /^(?:VBoxManage (?:--version|list \w+|showvminfo [0-9a-f-]{36} --machinereadable|getextradata [0-9a-f-]{36} enumerate)|qemu-[\w-]+ --version|git .*|az account .*)$/

/** The most processor time of a command, in milliseconds. A busy computer takes three times as much as a quiet one. */
const longest = 15_000

/** What a deed has in it that no command should do. */
function findHarm({ code, took, dialled, ran }: Deed, inventory: string): readonly string[] {
  // This computer is looked at as any host is, where an entry names it.
  const mayLook = inventory.includes('driver: local')
  return [
    ...(codes.has(code) && code !== exitCodes.bug ? [] : [`ended with ${code}`]),
    ...(took < longest ? [] : [`took ${took} ms`]),
    ...dialled.filter((one) => !mayDial.test(one)).map((one) => `dialled ${one}`),
    ...ran
      .filter((one) => !mayRun.test(one) && !(mayLook && one === 'sh -s'))
      .map((one) => `ran ${one}`),
  ]
}
const codes = new Set<number>(Object.values(exitCodes))

/**
 * Runs commands on one part of the hostile inventories, of as many as `parts`: each part is a file of tests, so that they run
 * at the same time. Throws where a command does what an inventory wants. Gives how many inventories were checked, and how many
 * commands took theirs for valid.
 */
export async function checkInventories(
  part: number,
  parts: number,
): Promise<{ readonly checked: number; readonly taken: number }> {
  const inventories = hostileInventories(260, 20_260_101)
  if (inventories.length <= 300) throw new Error('there are too few hostile inventories')
  await using sandbox = await openSandbox()
  const before = (await sandbox.look()).join('\n')
  let [checked, taken] = [0, 0]
  for (const [index, { what, text }] of inventories.entries()) {
    if (index % parts !== part) continue
    checked++
    for (let turn = 0; turn < each; turn++) {
      const words = commands[(index * each + turn) % commands.length] ?? []
      const deed = await sandbox.run(text, ...words)
      const harm = [...findHarm(deed, text)]
      if ((await sandbox.look()).join('\n') !== before) harm.push('changed files')
      if (harm.length > 0) {
        const shown = [text.slice(0, 3000), deed.output.slice(-3000)].join('\n')
        throw new Error(`${what}: fleet ${words.join(' ')} ${harm.join(', ')}:\n${shown}`)
      }
      if (words[0] !== '__complete' && deed.code !== exitCodes.inventory) taken++
    }
  }
  return { checked, taken }
}
