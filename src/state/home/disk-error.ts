import { dirname } from 'node:path'
import { codeOf, UserError, type ErrorKind } from '../../errors.ts'

interface Attempt {
  readonly kind: ErrorKind
  /** The operation: `read`, `write`. */
  readonly operation: string
  readonly file: string
}

/** Why a file operation failed, and a hint, keyed by error code. */
const reasons: Readonly<Record<string, (file: string) => readonly [why: string, remedy: string]>> =
  {
    EACCES: (file) => [
      'permission denied',
      `check the owner and permissions of ${file} and ${dirname(file)}`,
    ],
    EPERM: (file) => [
      'permission denied',
      `check the owner and permissions of ${file} and ${dirname(file)}`,
    ],
    EROFS: (file) => ['the file system is read-only', `make ${dirname(file)} writable`],
    ENOSPC: (file) => ['the disk is full', `free some space in ${dirname(file)}`],
    EDQUOT: (file) => ['the disk quota was exceeded', `free some space in ${dirname(file)}`],
    EFBIG: () => ['the file would exceed the size limit', 'raise the file size limit (ulimit -f)'],
    EIO: (file) => ['the disk returned an I/O error', `check the disk that holds ${dirname(file)}`],
    EISDIR: (file) => ['the path is a directory', `specify a file in ${file}`],
    ENOTDIR: (file) => ['a part of the path is a file, not a directory', `check the path ${file}`],
    ENOENT: (file) => [`${dirname(file)} does not exist`, `create the directory ${dirname(file)}`],
    ELOOP: (file) => [
      'the symbolic links in the path form a loop',
      `check the symbolic links in the path ${file}`,
    ],
    ENAMETOOLONG: () => ['the path is too long', 'use a shorter path'],
    EMFILE: () => ['too many files are open', 'raise the limit on open files (ulimit -n)'],
    ENFILE: () => ['too many files are open', 'raise the limit on open files'],
  }

/** Converts a file system error to an error for the user. Other errors are returned unchanged. */
export function explainDiskError(error: unknown, { kind, operation, file }: Attempt): unknown {
  if (error instanceof UserError) return error
  const reason = reasons[codeOf(error) ?? '']
  if (reason === undefined) return error
  const [why, hint] = reason(file)
  return new UserError(kind, `cannot ${operation} ${file}: ${why}`, { hint, cause: error })
}
