import type { DriverDefinition } from '../src/drivers/driver.ts'
import { type OptionFlag, describeFlag, optionFlags } from '../src/drivers/options/option-flags.ts'

const begin = '<!-- options: written by `npm run docs` -->'
const end = '<!-- end of options -->'

const cell = (text: string): string => text.replaceAll('|', String.raw`\|`)

function rowOf(flag: OptionFlag): string {
  const cells = [`\`${flag.key}\``, `\`--${flag.name}\``, describeFlag(flag)]
  return `| ${cells.map(cell).join(' | ')} |`
}

const writeOptionsTable = (driver: DriverDefinition): string =>
  [
    '| in machines.yaml | flag | description |',
    '| --- | --- | --- |',
    ...optionFlags(driver).map(rowOf),
  ].join('\n')

/** A driver's page with the table of its options as they are now. Throws where the page has no place for it. */
export function replaceOptionsTable(page: string, driver: DriverDefinition): string {
  const [before, rest] = page.split(`${begin}\n`)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) {
    throw new Error(`docs/drivers/${driver.name}.md has no lines ${begin} and ${end}`)
  }
  return `${before}${begin}\n\n${writeOptionsTable(driver)}\n\n${end}${after}`
}
