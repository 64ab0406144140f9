/** Returns the values of a keyword in the lines that `ssh -G` prints, in order. Keywords are in lower case. */
export const valuesOf = (answer: readonly string[], keyword: string): readonly string[] =>
  answer
    .filter((line) => line.startsWith(`${keyword} `))
    .map((line) => line.slice(keyword.length + 1))

/** Returns the first value of a keyword in the lines that `ssh -G` prints. */
export const valueOf = (answer: readonly string[], keyword: string): string | undefined =>
  valuesOf(answer, keyword)[0]
