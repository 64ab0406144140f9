import type { Environment } from './environment.ts'

const tellingName =
  /pass|pwd|secret|token|credential|private|key|auth|mfa|otp|sas|connection_?string/i
const harmlessName = /^(?:PWD|OLDPWD|SSH_AUTH_SOCK|XAUTHORITY)$|_FILE$/i

/** Secrets up to this length are not redacted, because the same text has other meanings. */
const shortestSecret = 4

/**
 * Removes secrets from a line: values of variables of `env` whose names suggest secrets, and, to the end of the
 * line, everything from the first secret that `find` returns.
 */
export function createRedactor(
  find: (text: string) => readonly { readonly offset: number; readonly kind: string }[],
  env: Environment,
): (text: string) => string {
  const values = Object.entries(env).flatMap(([name, value = '']) =>
    value.length >= shortestSecret && tellingName.test(name) && !harmlessName.test(name)
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
