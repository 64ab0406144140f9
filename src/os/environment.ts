import { homedir } from 'node:os'

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The home folder of the user. */
export const homeOf = (env: Environment): string => env['HOME'] ?? homedir()
