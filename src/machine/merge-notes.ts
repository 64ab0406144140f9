/** Lays a driver's newer notes on a host over the older ones; `undefined` takes a note away. */
export const mergeNotes = (
  older: Readonly<Record<string, string>> = {},
  newer: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ ...older, ...newer }).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value]],
    ),
  )
