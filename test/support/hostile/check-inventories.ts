import { exitCodes } from '../../../src/errors.ts'
import { addresses, hostileInventories } from './inventories.ts'
import { type Effects, openSandbox } from './sandbox.ts'

/** Commands that users, cron and editors run in a fresh clone. */
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

/** Number of commands that are run on each inventory. */
const each = 4

/** Addresses that may be dialed: the addresses in entries, and the APIs of providers. */
const mayDial = new RegExp(
  `^(?:${addresses.map((one) => one.replaceAll('.', String.raw`\.`)).join('|')}|(?:ec2|sts)\\.[a-z0-9-]+\\.amazonaws\\.com|management\\.azure\\.com|login\\.microsoftonline\\.com|cloud\\.debian\\.org|.*docker\\.sock)(?::\\d+)?$`,
)

/** Command lines that may be run: read-only queries. */
const mayRun =
  /^(?:VBoxManage (?:--version|list \w+|showvminfo [0-9a-f-]{36} --machinereadable|getextradata [0-9a-f-]{36} enumerate)|qemu-[\w-]+ --version|git .*|az account .*)$/

/** Maximum processor time of a command, in milliseconds. A busy computer needs three times as much as an idle one. */
const longest = 15_000

/** Returns those effects of a command that no command may have. */
function findHarm(
  { code, took, dialed: dialled, ran }: Effects,
  inventory: string,
): readonly string[] {
  // If an entry refers to this computer, fleet may inspect it like any host.
  const mayInspect = inventory.includes('driver: local')
  return [
    ...(codes.has(code) && code !== exitCodes.bug ? [] : [`ended with ${code}`]),
    ...(took < longest ? [] : [`took ${took} ms`]),
    ...dialled.filter((one) => !mayDial.test(one)).map((one) => `dialled ${one}`),
    ...ran
      .filter((one) => !mayRun.test(one) && !(mayInspect && one === 'sh -s'))
      .map((one) => `ran ${one}`),
  ]
}
const codes = new Set<number>(Object.values(exitCodes))

/**
 * Runs commands on one of `parts` parts of the hostile inventories. Each part has its own test file, so that the parts
 * are checked concurrently. Throws if a command does what a hostile inventory asks for. Resolves to the number of
 * checked inventories, and the number of commands that accepted their inventory as valid.
 */
export async function checkInventories(
  part: number,
  parts: number,
): Promise<{ readonly checked: number; readonly taken: number }> {
  const inventories = hostileInventories(260, 20_260_101)
  if (inventories.length <= 300) throw new Error('there are too few hostile inventories')
  await using sandbox = await openSandbox()
  const before = (await sandbox.readState()).join('\n')
  let [checked, taken] = [0, 0]
  for (const [index, { what, text }] of inventories.entries()) {
    if (index % parts !== part) continue
    checked++
    for (let turn = 0; turn < each; turn++) {
      const words = commands[(index * each + turn) % commands.length] ?? []
      const effects = await sandbox.run(text, ...words)
      const harm = [...findHarm(effects, text)]
      if ((await sandbox.readState()).join('\n') !== before) harm.push('changed files')
      if (harm.length > 0) {
        const shown = [text.slice(0, 3000), effects.output.slice(-3000)].join('\n')
        throw new Error(`${what}: fleet ${words.join(' ')} ${harm.join(', ')}:\n${shown}`)
      }
      if (words[0] !== '__complete' && effects.code !== exitCodes.inventory) taken++
    }
  }
  return { checked, taken }
}
