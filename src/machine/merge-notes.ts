/** Merges a driver's newer resources into the older ones. A value of `undefined` removes the key. */
export const mergeResources = (
  older: Readonly<Record<string, string>> = {},
  newer: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ ...older, ...newer }).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value]],
    ),
  )
