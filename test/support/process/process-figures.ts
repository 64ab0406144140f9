import { readFile, readdir } from 'node:fs/promises'

/** Resource usage of a process on this computer. */
export interface ProcessFigures {
  /** Number of open file descriptors. */
  readonly descriptors: number
  /** Memory in RAM (VmRSS), in kB. */
  readonly memory: number
}

export const descriptorsOf = async (pid: number): Promise<number> =>
  (await readdir(`/proc/${pid}/fd`)).length

/** Resolves to the current resource usage of process `pid`. */
export async function figuresOf(pid: number): Promise<ProcessFigures> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return {
    descriptors: await descriptorsOf(pid),
    memory: Number(/VmRSS:\s*(\d+)/.exec(status)?.[1]),
  }
}
