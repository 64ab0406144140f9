import type { Environment } from './environment.ts'

const secretName =
  /pass|pwd|secret|token|credential|private|key|auth|mfa|otp|sas|connection_?string/i
const harmlessName = /^(?:PWD|OLDPWD|SSH_AUTH_SOCK|XAUTHORITY)$|_FILE$/i

/** The length of the shortest value that is redacted: a shorter text is likely to occur for other reasons. */
const shortestSecret = 4

/**
 * Creates a function that removes secrets from a line: values of variables of `env` whose names suggest secrets, and
 * everything from the first secret that `find` returns to the end of the line.
 */
export function createRedactor(
  find: (text: string) => readonly { readonly offset: number; readonly kind: string }[],
  env: Environment,
): (text: string) => string {
  const values = Object.entries(env).flatMap(([name, value = '']) =>
    value.length >= shortestSecret && secretName.test(name) && !harmlessName.test(name)
      ? [[name, value] as const]
      : [],
  )
  return (text) => {
    let line = text
    for (const [name, value] of values) line = line.replaceAll(value, `[value of ${name}]`)
    const [found] = find(line)
    return found === undefined ? line : `${line.slice(0, found.offset)}[removed: ${found.kind}]`
  }
}
