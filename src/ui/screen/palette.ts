import type { Environment } from '../../os/environment.ts'
import type { CellStyle } from './canvas.ts'

/** The meaning of a text, which determines its style. */
export type Tone =
  | 'plain'
  | 'strong'
  | 'dim'
  | 'good'
  | 'warn'
  | 'bad'
  | 'accent'
  | 'title'
  | 'selected'
  | 'marked'
  | 'found'

/** The tones of the four parts of a stacked bar. */
export const partTones = ['accent', 'good', 'warn', 'bad'] as const satisfies readonly Tone[]

/** The capabilities of a terminal. */
export interface Look {
  readonly colors: 'none' | '16' | 'true'
  readonly unicode: boolean
}

/**
 * Determines the capabilities of a terminal from the environment variables (https://no-color.org, COLORTERM,
 * locale(7)).
 */
export function lookOf(env: Environment): Look {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  const hasColors = (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
  const isTrue = /^(?:truecolor|24bit)$/i.test(env['COLORTERM'] ?? '')
  return {
    colors: hasColors ? (isTrue ? 'true' : '16') : 'none',
    unicode: /utf-?8/i.test(locale) || process.platform === 'darwin',
  }
}

const colored: Readonly<Record<Tone, CellStyle>> = {
  plain: '',
  strong: '1',
  dim: '90',
  good: '32',
  warn: '33',
  bad: '31',
  accent: '36',
  title: '1;36',
  selected: '7',
  marked: '1;33',
  found: '30;43',
}

const colorless: Readonly<Record<Tone, CellStyle>> = {
  plain: '',
  strong: '1',
  dim: '2',
  good: '',
  warn: '1',
  bad: '1',
  accent: '',
  title: '1',
  selected: '7',
  marked: '1',
  found: '7',
}

/** Returns the style for a tone. */
export const styleOf = ({ colors }: Look, tone: Tone): CellStyle =>
  colors === 'none' ? colorless[tone] : colored[tone]

/** Returns the tone for the used share of a limited resource. */
export const toneOfShare = (share: number): Tone =>
  share >= 0.9 ? 'bad' : share >= 0.7 ? 'warn' : 'good'

/** Returns the style for a share, on a scale from green to red. Uses 24-bit color if the terminal supports it. */
export function heatStyle(look: Look, share: number): CellStyle {
  if (look.colors !== 'true') return styleOf(look, toneOfShare(share))
  const hot = Math.min(1, Math.max(0, share))
  const red = Math.round(255 * Math.min(1, hot * 2))
  const green = Math.round(200 * Math.min(1, 2 - hot * 2))
  return `38;2;${red};${green};60`
}
