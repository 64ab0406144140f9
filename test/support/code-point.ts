import { type Arbitrary, integer } from 'fast-check'

const [firstSurrogate, surrogates] = [0xd800, 0x800]
const last = 0x10ffff

/**
 * Any Unicode character, as the unit of a string. fast-check's own unit `binary` first builds a table of all
 * characters, which takes seconds in each process.
 */
export const codePoint: Arbitrary<string> = integer({ min: 0, max: last - surrogates }).map(
  (index) => String.fromCodePoint(index < firstSurrogate ? index : index + surrogates),
  (text) => {
    const code = typeof text === 'string' ? (text.codePointAt(0) ?? -1) : -1
    if (code < 0 || String.fromCodePoint(code) !== text) throw new Error('not one character')
    if (code < firstSurrogate) return code
    if (code < firstSurrogate + surrogates) throw new Error('half a character')
    return code - surrogates
  },
)
