/** Runs `work`, and measures this process's processor time in milliseconds, which hardly depends on other load. */
export async function timeProcessor<Value>(
  work: () => Value | Promise<Value>,
): Promise<{ readonly value: Value; readonly took: number }> {
  const before = process.cpuUsage()
  const value = await work()
  const { user, system } = process.cpuUsage(before)
  return { value, took: (user + system) / 1000 }
}
