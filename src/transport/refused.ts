/** The error of a socket that the host does not connect to. */
export interface RefusedError extends Error {
  readonly code: 'REFUSED'
}

/**
 * Creates the error of `Transport.dial` for a socket that cannot be opened on a reachable host; `why` is the
 * reason from the host.
 */
export const refused = (why: string, cause?: unknown): RefusedError =>
  Object.assign(new Error(why, { cause }), { code: 'REFUSED' as const })
