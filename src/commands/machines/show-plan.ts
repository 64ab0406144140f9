import type { Change, ChangePlan, Drift, Matter } from '../../operations/change-plan.ts'
import { exitCodes } from '../../errors.ts'

/** The exit code of `fleet plan` when changes wait, as that of `terraform plan -detailed-exitcode`. */
const changesWait = 2

const signs: Readonly<Record<Change['action'], string>> = {
  create: '+',
  adopt: '+',
  start: '~',
  operators: '~',
  remove: '-',
}

const driftLine = ({ machine, field, remembered = 'nothing', seen }: Drift): string =>
  `  ! ${machine}: ${field} was ${remembered}, and is ${seen}\n`

const matterLine = ({ machine, why, hint }: Matter): string =>
  `  ? ${machine === '' ? '' : `${machine}: `}${why}${hint === undefined ? '' : ` (${hint})`}\n`

const part = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}\n${lines.join('')}`

/** A plan in words. */
export function describePlan({ changes, drift, matters }: ChangePlan): string {
  const lines = changes.map(
    ({ machine, action, why }) => `  ${signs[action]} ${machine}: ${action} (${why})\n`,
  )
  const all = [
    part('To be done by fleet apply:', lines),
    part('Changed outside; fleet refresh takes it in:', drift.map(driftLine)),
    part('For you to settle:', matters.map(matterLine)),
  ].join('')
  return all === '' ? 'nothing to do\n' : all
}

/** 0: nothing to do. 2: changes wait. 1: none wait, and not everything could be seen, or something is for the person. */
export function planCode({ changes, matters }: ChangePlan): number {
  if (changes.length > 0) return changesWait
  return matters.length > 0 ? exitCodes.failed : exitCodes.ok
}
