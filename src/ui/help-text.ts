import { colorsOf } from './color.ts'
import type { Io } from './io.ts'
import { type Styled, compose, joinText } from './styled.ts'

const heading = /^[A-Z].*:$/
const usage = /^(Usage:)( .*)$/
/** An option or command, followed by two or more spaces and its description. */
const item = /^( {2})(\S+(?: \S+)*)( {2,}\S.*)$/

/** Highlights the headings, and the names of options and commands, in the text of a help page. */
export function styleHelp(io: Io, text: string): Styled {
  const { bold, cyan } = colorsOf(io, 'stdout')
  const lines = text.split('\n').map((line) => {
    if (heading.test(line)) return bold(line)
    const [, label = '', rest = ''] = usage.exec(line) ?? []
    if (label !== '') return compose`${bold(label)}${rest}`
    const [, indent = '', name = '', description = ''] = item.exec(line) ?? []
    return name === '' ? line : compose`${indent}${cyan(name)}${description}`
  })
  return joinText(lines, '\n')
}
