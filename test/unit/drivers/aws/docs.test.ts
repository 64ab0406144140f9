import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { replaceOptionsTable } from '../../../../scripts/options-table.ts'
import { drivers } from '../../../../src/drivers/index.ts'

const root = join(import.meta.dirname, '../../../..')
const pages = new Set(await readdir(join(root, 'docs/drivers')))

/** Removes the padding that the formatter adds to tables. */
const unpadded = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---')

describe('docs/drivers', () => {
  test.each(drivers.filter(({ name }) => pages.has(`${name}.md`)))(
    '$name.md matches the options of the driver (npm run docs)',
    async (driver) => {
      const page = await readFile(join(root, `docs/drivers/${driver.name}.md`), 'utf8')
      expect(unpadded(page)).toBe(unpadded(replaceOptionsTable(page, driver)))
    },
  )
})

describe('the IAM policy in docs/drivers/aws.md', async () => {
  const page = await readFile(join(root, 'docs/drivers/aws.md'), 'utf8')
  const json = /```json\n([^`]*)```/.exec(page)?.[1] ?? ''
  const { Statement } = JSON.parse(json) as {
    Statement: { Sid: string; Action: string | string[]; Condition?: object }[]
  }
  const actionsOf = (sid: string) =>
    Statement.filter(({ Sid }) => Sid === sid).flatMap(({ Action }) => Action)
  const folder = join(root, 'src/drivers/aws')
  const sources = await Promise.all(
    (await readdir(folder, { recursive: true }))
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFile(join(folder, file), 'utf8')),
  )
  const calls = new Set(
    sources.flatMap((source) =>
      Array.from(source.matchAll(/new (\w+)Command\(/g), ([, name]) => name),
    ),
  )

  test('allows exactly the actions that the driver uses', () => {
    const actions = Statement.flatMap(({ Action }) => Action)
    const used = [...calls].map((name) => `ec2:${name}`)
    expect(actions.toSorted()).toEqual([...used, 'ec2:CreateTags'].sort())
  })

  test('allows only Describe actions unconditionally, and changes only to resources with a fleet tag', () => {
    expect(actionsOf('Describe').filter((action) => !action.startsWith('ec2:Describe'))).toEqual([])
    const changing = [...calls].filter(
      (name) => !/^(?:Describe|Run|Create(?!Tags)|Import|Allocate)/.test(name ?? ''),
    )
    expect(actionsOf('ChangeFleetResources').toSorted()).toEqual(
      changing.map((name) => `ec2:${name}`).sort(),
    )
    expect(Statement.find(({ Sid }) => Sid === 'ChangeFleetResources')?.Condition).toEqual({
      StringLike: { 'aws:ResourceTag/fleet:token': '*' },
    })
  })
})
