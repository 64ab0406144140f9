import { humanAge } from '../../ui/human-units.ts'

/** Formats a release: `release 3 (deployed 2 hours ago, by ana@laptop, commit 1f2e3d4c5b6a)`. */
export const describeRelease = ({
  number,
  at,
  by,
  commit,
}: {
  readonly number: number
  readonly at: string
  readonly by: string
  readonly commit?: string | undefined
}): string => {
  const time = Date.parse(at)
  const facts = [
    ...(Number.isNaN(time) ? [] : [`deployed ${humanAge(time / 1000)}`]),
    ...(by === '' ? [] : [`by ${by}`]),
    ...(commit === undefined ? [] : [`commit ${commit.slice(0, 12)}`]),
  ]
  return `release ${number}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`
}
