import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cachedFolder } from '../files/cached-folder.ts'
import { unpackPackages } from '../files/unpack-packages.ts'
import { type LiveTerminal, openTerminal } from './live-terminal.ts'

const packages = { ofThisRelease: ['tmux', 'libevent-core-2.1-7', 'libutempter0'] } as const

const libraries = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'

/** A tmux server with one session, whose pane runs bash. */
export interface Tmux extends AsyncDisposable {
  /** Runs a tmux command. Resolves to its output. */
  run(...words: readonly string[]): Promise<string>
  /** Attaches a terminal to the session; the last line is tmux's status line. */
  attach(size: { readonly rows: number; readonly columns: number }): LiveTerminal
}

/** Starts tmux from Debian's package, which need not be installed. Its socket is in `folder`. */
export async function startTmux(
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Tmux> {
  const unpacked = await cachedFolder('tmux', packages, (place) => unpackPackages(place, packages))
  const root = join(unpacked, 'root')
  const argv = [join(root, 'usr/bin/tmux'), '-u', '-S', join(folder, 'tmux'), '-f', '/dev/null']
  const [file = '', ...options] = argv
  const inEnv = {
    ...{ ...env, SHELL: '/bin/bash', TERM: 'xterm-256color' },
    LD_LIBRARY_PATH: `${root}/usr/lib/${libraries}:${root}/lib/${libraries}`,
  }
  const run: Tmux['run'] = async (...words) =>
    (await promisify(execFile)(file, [...options, ...words], { env: inEnv, cwd: folder })).stdout
  await run('new-session', '-d', '-x', '100', '-y', '30', '/bin/bash', '--norc', '-i')
  return {
    run,
    attach: (size) =>
      openTerminal([...argv, 'attach-session'], { cwd: folder, env: inEnv, ...size }),
    async [Symbol.asyncDispose]() {
      await run('kill-server').catch(() => {})
    },
  }
}
