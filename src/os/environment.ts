import { homedir } from 'node:os'

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Returns the user's home directory: `HOME`, or the account's home directory if it is not set. */
export const homeOf = (env: Environment): string => env['HOME'] ?? homedir()
