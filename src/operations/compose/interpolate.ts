import type { Environment } from '../../os/environment.ts'

/** The index of the brace that closes the one just before `start`; -1 if there is none. */
function closingBrace(text: string, start: number): number {
  let depth = 1
  for (let at = start; at < text.length; at += 1) {
    if (text.startsWith('${', at)) depth += 1
    else if (text[at] === '}' && --depth === 0) return at
  }
  return -1
}

/** Returns the value of `${EXPRESSION}`. */
function valueOf(expression: string, values: Environment): string {
  const [, name = '', operator = '', rest = ''] = /^(\w+)(:?[-+?])?([^]*)$/.exec(expression) ?? []
  const value = values[name]
  const isSet = operator.startsWith(':') ? Boolean(value) : value !== undefined
  if (operator.endsWith('-')) return isSet ? (value ?? '') : interpolate(rest, values)
  if (operator.endsWith('+')) return isSet ? interpolate(rest, values) : ''
  return value ?? ''
}

/**
 * Expands variables to predict which file a value in a Compose file names. Only Compose itself knows for certain.
 * Source: the Compose Specification, "Interpolation".
 */
export function interpolate(text: string, values: Environment): string {
  let result = ''
  for (let at = 0; at < text.length;) {
    const name = /^\$([A-Za-z_]\w*)/.exec(text.slice(at, at + 256))?.[1]
    if (text.startsWith('$$', at)) {
      result += '$'
      at += 2
    } else if (text.startsWith('${', at)) {
      const end = closingBrace(text, at + 2)
      if (end === -1) return result + text.slice(at)
      result += valueOf(text.slice(at + 2, end), values)
      at = end + 1
    } else if (name !== undefined) {
      result += values[name] ?? ''
      at += 1 + name.length
    } else {
      result += text.charAt(at)
      at += 1
    }
  }
  return result
}
