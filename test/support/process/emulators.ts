import { readdir, readlink } from 'node:fs/promises'

/** Resolves to the PIDs of emulators with open files below a directory (proc(5), `/proc/PID/fd`). */
export async function emulatorsOn(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    ids.map(async (pid) => {
      const fds = await readdir(`/proc/${pid}/fd`).catch(() => [])
      const files = await Promise.all(
        fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
      )
      return files.some((file) => file.startsWith(`${folder}/`)) ? [pid] : []
    }),
  )
  return found.flat()
}
