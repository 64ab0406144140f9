import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { quoteForHost, shellQuote } from '../../../src/os/shell-quote.ts'

const words = [
  ...[
    '/srv/a',
    '/srv/a b',
    "it's",
    '$(id); x',
    '*.pub',
    '~',
    '=x',
    '',
    'x\\',
    'a\\\\b',
    '"',
    '`id`',
    'a!b',
    '%self',
  ],
  ...["x'; echo pwned #", "a\\'; echo pwned #", "\\'\\\\''; echo pwned #"],
]
/** Shells that are installed on this computer. */
const shells = ['sh', 'bash', 'dash', 'zsh', 'fish', 'tcsh'].filter((shell) =>
  ['/bin', '/usr/bin'].some((folder) => existsSync(`${folder}/${shell}`)),
)
const runIn = (shell: string, script: string): string =>
  execFileSync(shell, ['-c', script], { encoding: 'utf8' })
const eachShell = test.skipIf(process.platform === 'win32').each(shells)

eachShell('a quoted word is one word of %s', (shell) => {
  for (const word of words) {
    expect(runIn(shell, `printf '<%s>' ${shellQuote(word)}`)).toBe(`<${word}>`)
  }
})

eachShell(
  'a word that is quoted for the host is one word in %s on the host after any local shell has parsed it',
  (shell) => {
    for (const word of words) {
      // `fleet ssh NAME` joins its arguments with spaces and passes them on.
      const sent = shells.map((pasted) => runIn(pasted, `printf %s ${quoteForHost(word)}`))
      for (const text of sent) {
        const output = runIn(shell, `printf '<%s>' ${text}`)
        expect(output).toBe(`<${word}>`)
      }
    }
  },
)
