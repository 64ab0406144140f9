/** Yields the results for `machines` in that order, each as soon as it and all previous ones have arrived. */
export async function* inOrder<Machine, Arrival extends { readonly machine: Machine }>(
  machines: readonly Machine[],
  arrivals: AsyncIterable<Arrival>,
): AsyncGenerator<Arrival, void> {
  const come = new Map<Machine, Arrival>()
  let next = 0
  for await (const arrival of arrivals) {
    come.set(arrival.machine, arrival)
    for (; next < machines.length; next += 1) {
      const turn = come.get(machines[next] as Machine)
      if (turn === undefined) break
      come.delete(turn.machine)
      yield turn
    }
  }
}
