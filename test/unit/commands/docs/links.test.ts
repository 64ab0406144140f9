import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { expect, it } from 'vitest'
import { readPages, repository } from './pages.ts'

const withoutFences = (text: string): string => text.replaceAll(/^```[^]*?^```/gm, '')

/** Returns the anchor that GitHub generates for a heading. */
const anchorOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

const anchorsOf = (text: string): Set<string> =>
  new Set(
    Array.from(withoutFences(text).matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
      anchorOf(heading.trim()),
    ),
  )

async function problemOf(path: string, link: string): Promise<string | undefined> {
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? path : normalize(join(dirname(path), file))
  if (!existsSync(join(repository, target))) return `${path}: ${link}: no such file`
  if (anchor === undefined || !target.endsWith('.md')) return undefined
  const anchors = anchorsOf(await readFile(join(repository, target), 'utf8'))
  return anchors.has(anchor) ? undefined : `${path}: ${link}: no such heading`
}

it('every relative link points to a file and a heading that exist', async () => {
  const pages = await readPages()
  const links = pages.flatMap(({ path, text }) =>
    Array.from(
      withoutFences(text)
        .replaceAll(/`[^`\n]*`/g, '')
        .matchAll(/\]\(([^)\s]+)\)/g),
      ([, link = '']) => ({ path, link }),
    ),
  )
  const relative = links.filter(({ link }) => !/^[a-z]+:/.test(link))
  const problems = await Promise.all(relative.map(({ path, link }) => problemOf(path, link)))
  expect(relative.length).toBeGreaterThan(20)
  expect(problems.filter((problem) => problem !== undefined)).toEqual([])
})
