import type { DriverDefinition } from '../../drivers/driver.ts'
import type { OptionFlag } from '../../drivers/option-flags.ts'
import { UserError } from '../../errors.ts'
import type { Fleet } from '../../fleet.ts'
import { parseMachineName, type MachineName } from '../../machine/name.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt, choose } from '../../ui/prompt.ts'

/** What a command line says of a machine to create: flags by name. */
interface Typed {
  readonly name: string | undefined
  readonly driver: string | undefined
  readonly flags: Readonly<Record<string, unknown>>
}

/** What is to be created. No driver: the entry in the inventory names it. */
interface Creation {
  readonly name: MachineName
  readonly driver: DriverDefinition | undefined
  readonly flags: Readonly<Record<string, unknown>>
}

/** Asks for the value of a driver's option. */
const askFlag = (io: Io, { name, description, choices }: OptionFlag): Promise<string> =>
  choices === undefined
    ? askText(io, `${name}: ${description}`)
    : choose(
        io,
        `${name}: ${description}`,
        choices.map((value) => ({ value })),
      )

async function askDriver(io: Io): Promise<string> {
  const { drivers } = await import('../../drivers/index.ts')
  const choices = drivers.map(({ name, summary }) => ({ value: name, description: summary }))
  return choose(io, 'How does the host come to be?', choices)
}

/**
 * Takes what was typed, and on a terminal asks for what is missing: the name, the driver, and the
 * options that the driver cannot do without. Says how to type it all next time.
 */
export async function askCreation(io: Io, fleet: Fleet, typed: Typed): Promise<Creation> {
  const person = canPrompt(io)
  if (typed.name === undefined && !person) {
    throw new UserError('usage', 'the machine needs a name', { hint: 'fleet create NAME' })
  }
  const name = parseMachineName(typed.name ?? (await askText(io, 'What shall it be called?')))
  const { machines, defaults } = await (await fleet.inventory()).read()
  const isWritten = machines.has(name)
  const asksDriver = typed.driver === undefined && !isWritten && person
  const driverName = asksDriver ? await askDriver(io) : typed.driver
  if (driverName === undefined) return { name, driver: undefined, flags: typed.flags }

  const driver = await fleet.driver(driverName)
  if (isWritten || !person) return { name, driver, flags: typed.flags }
  const { optionFlags } = await import('../../drivers/option-flags.ts')
  const missing = optionFlags(driver).filter(
    ({ name, key, required }) =>
      required && typed.flags[name] === undefined && defaults[driver.name]?.[key] === undefined,
  )
  const answers: Record<string, string> = {}
  for (const flag of missing) answers[flag.name] = await askFlag(io, flag)
  if (asksDriver || missing.length > 0) {
    const words = Object.entries(answers).map(([flag, value]) => ` --${flag} ${value}`)
    io.stderr.write(`That is: fleet create ${name} --driver ${driver.name}${words.join('')}\n`)
  }
  return { name, driver, flags: { ...typed.flags, ...answers } }
}
