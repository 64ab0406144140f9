import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { quoteForHost, shellQuote } from '../../../src/os/shell-quote.ts'

const words = ['/srv/a', '/srv/a b', "it's", '$(id); x', '*.pub', '~', '=x', '']
const sh = (script: string): string => execFileSync('sh', ['-c', script], { encoding: 'utf8' })

test.skipIf(process.platform === 'win32').each(words)('%j is one word of a shell', (word) => {
  expect(sh(`printf '<%s>' ${shellQuote(word)}`)).toBe(`<${word}>`)
})

test.skipIf(process.platform === 'win32').each(words)(
  '%j is one word after `fleet ssh NAME`, which joins its words for the shell of the host',
  (word) => {
    const fleet = 'fleet() { shift 2; sh -c "$*"; }'
    expect(sh(`${fleet}; fleet ssh web-1 echo ${quoteForHost(word)}`)).toBe(`${word}\n`)
  },
)
