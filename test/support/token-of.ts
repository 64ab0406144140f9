import { createHash } from 'node:crypto'

/** Returns a UUID determined by the name, suitable as a record's token. */
export const tokenOf = (name: string): string =>
  createHash('sha256')
    .update(name)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
