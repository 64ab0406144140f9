/** Does `work` and tells how many milliseconds of processor time it took this process: what else the computer does hardly counts. */
export async function timeProcessor<Value>(
  work: () => Value | Promise<Value>,
): Promise<{ readonly value: Value; readonly took: number }> {
  const before = process.cpuUsage()
  const value = await work()
  const { user, system } = process.cpuUsage(before)
  return { value, took: (user + system) / 1000 }
}
