/** A socket that the host would not, or could not, connect to. */
export interface RefusedError extends Error {
  readonly code: 'REFUSED'
}

/** The error of `Transport.dial` when the way to the host is fine and the socket is not; `why` is the host's reason. */
export const refused = (why: string, cause?: unknown): RefusedError =>
  Object.assign(new Error(why, { cause }), { code: 'REFUSED' as const })
