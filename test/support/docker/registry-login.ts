import { writeFile } from 'node:fs/promises'

/** The login of registries that require one. */
export const login = { user: 'ana', password: 'lab-password' }
const passwordHash = '$2b$04$OiUthp1A5Op3I5NLyfVsJeK7SiiWsyNjniHc/8iOhcOYuXOhTabtC'

/** Writes an htpasswd file that accepts {@link login}. */
export const writePasswordFile = (path: string): Promise<void> =>
  writeFile(path, `${login.user}:${passwordHash}\n`)
