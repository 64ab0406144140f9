/** Rows that came as machines answered, in the order of the machines. */
export function inOrderOf<Row>(
  machines: readonly { readonly name: string }[],
  rows: readonly Row[],
  nameOf: (row: Row) => string,
): Row[] {
  const places = new Map(machines.map(({ name }, place) => [name, place]))
  const placeOf = (row: Row): number => places.get(nameOf(row)) ?? machines.length
  return [...rows].sort((a, b) => placeOf(a) - placeOf(b))
}
