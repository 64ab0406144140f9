import nodeModule from 'node:module'
import { join } from 'node:path'
import { locateHome } from './state/locate-home.ts'

/** What Node.js 22.1 and later have. */
interface CompileCache {
  enableCompileCache?(folder: string): unknown
}

/**
 * Lets Node.js keep the compiled code of what is loaded from here on, where it can: in home, since code
 * from a folder that others write to would run as this user.
 */
export function keepCompiledCode(env: NodeJS.ProcessEnv): void {
  ;(nodeModule as CompileCache).enableCompileCache?.(join(locateHome(env), 'cache', 'code'))
}
