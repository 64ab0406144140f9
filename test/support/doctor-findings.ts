/** A check in the output of `fleet doctor --json`. */
interface Check {
  readonly machine?: string
  readonly check: string
  readonly state: string
  readonly message: string
  readonly fix?: string
}

/** Returns the failed checks in the output of `fleet doctor --json`. */
export const failuresOf = (stdout: string): readonly Check[] =>
  (JSON.parse(stdout) as readonly Check[]).filter(({ state }) => state === 'fail')
