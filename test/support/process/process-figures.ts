import { readFile, readdir } from 'node:fs/promises'

/** What a process of this computer has in use. */
export interface ProcessFigures {
  /** Open descriptors. */
  readonly descriptors: number
  /** Memory in RAM (VmRSS), in kB. */
  readonly memory: number
}

export const descriptorsOf = async (pid: number): Promise<number> =>
  (await readdir(`/proc/${pid}/fd`)).length

/** What process `pid` has in use now. */
export async function figuresOf(pid: number): Promise<ProcessFigures> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return {
    descriptors: await descriptorsOf(pid),
    memory: Number(/VmRSS:\s*(\d+)/.exec(status)?.[1]),
  }
}
