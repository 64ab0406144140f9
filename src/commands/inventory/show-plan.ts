import type { Change, ChangePlan, Drift, Issue } from '../../operations/plan/change-plan.ts'
import { exitCodes } from '../../errors.ts'
import { foldNames } from '../../ui/fold-names.ts'

/** The exit code of `fleet plan` when changes wait, as that of `terraform plan -detailed-exitcode`. */
const changesWait = 2

const signs: Readonly<Record<Change['action'], string>> = {
  create: '+',
  adopt: '+',
  change: '~',
  start: '~',
  stop: '~',
  operators: '~',
  engine: '~',
  replace: '-/+',
  remove: '-',
}

const driftLine = ({ machine, field, expected = 'nothing', seen }: Drift): string =>
  `  ! ${machine}: ${field} was ${expected}, and is ${seen}\n`

const matterLine = ({ machine, why, hint }: Issue): string =>
  `  ? ${machine === '' ? '' : `${machine}: `}${why}${hint === undefined ? '' : ` (${hint})`}\n`

const part = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}\n${lines.join('')}`

/** One change in words, and what it gives the host. */
const changeLine = ({ machine, action, why, stops, grants = [] }: Change): string =>
  [
    `  ${signs[action]} ${machine}: ${action} (${why}${stops ? '; stops the host for a while' : ''})\n`,
    ...grants.map((grant) => `      gets ${grant}\n`),
  ].join('')

/** Changes in words, a line each. */
export const describeChanges = (changes: readonly Change[]): string =>
  changes.map(changeLine).join('')

/** A plan in words. */
export function describePlan({ changes, drift, issues, leftOut = [] }: ChangePlan): string {
  const severe = changes.filter((one) => one.destructive === true)
  const [going, stopping, usual] = [
    severe.filter(({ action }) => action !== 'stop'),
    severe.filter(({ action }) => action === 'stop'),
    changes.filter((one) => one.destructive !== true),
  ]
  const all = [
    part('To be done by fleet apply:', usual.map(changeLine)),
    part(
      'Hosts that would go, with all that is on them; fleet apply does it with a consent of its own:',
      going.map(changeLine),
    ),
    part(
      'Hosts that fleet did not create and that would be stopped; fleet apply does it once you confirm them by name:',
      stopping.map(changeLine),
    ),
    part('Changed outside; fleet refresh takes it in:', drift.map(driftLine)),
    part('For you to settle:', issues.map(matterLine)),
  ].join('')
  const others = foldNames(leftOut)
  const rest =
    leftOut.length === 0
      ? ''
      : leftOut.length === 1
        ? `1 machine is not in this plan: ${others}\n`
        : `${leftOut.length} machines are not in this plan: ${others}\n`
  return (all === '' ? 'nothing to do\n' : all) + rest
}

/** 0: nothing to do. 2: changes wait. 1: none wait, and not everything could be seen, or something is for the person. */
export function planCode({ changes, issues }: ChangePlan): number {
  if (changes.length > 0) return changesWait
  return issues.length > 0 ? exitCodes.failed : exitCodes.ok
}
