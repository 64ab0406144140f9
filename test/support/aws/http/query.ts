/** The parameters of a call, named as in the Query protocol: `Filter.1.Value.2`. */
export type Parameters = Readonly<Record<string, string>>

/** Formats parameters in a canonical order. */
export const writeParameters = (parameters: Parameters, except?: ReadonlySet<string>): string =>
  JSON.stringify(
    Object.keys(parameters)
      .sort()
      .flatMap((name) => (except?.has(name) ? [] : [[name, parameters[name]]])),
  )

/**
 * Returns the values of a list parameter, in order: `listParameter(p, 'InstanceId')` reads InstanceId.1, InstanceId.2 …
 */
export const listParameter = (parameters: Parameters, name: string): string[] =>
  Object.entries(parameters)
    .flatMap(([key, value]) => {
      const number = key.startsWith(`${name}.`) ? Number(key.slice(name.length + 1)) : Number.NaN
      return Number.isInteger(number) ? [{ number, value }] : []
    })
    .sort((a, b) => a.number - b.number)
    .map(({ value }) => value)

/** Returns the indices in a list of structures, such as 1 for `Filter.1.Name`. */
const numbersOf = (parameters: Parameters, name: string): number[] => [
  ...new Set(
    Object.keys(parameters).flatMap((key) => {
      const number = new RegExp(`^${name}\\.(\\d+)\\.`).exec(key)?.[1]
      return number === undefined ? [] : [Number(number)]
    }),
  ),
]

/** Returns the filters, keyed by name, each with its alternative values. */
export const filtersOf = (parameters: Parameters): Map<string, string[]> =>
  new Map(
    numbersOf(parameters, 'Filter').map((number) => [
      parameters[`Filter.${number}.Name`] ?? '',
      listParameter(parameters, `Filter.${number}.Value`),
    ]),
  )

/** Returns the parameters with their filters replaced. */
export function withFilters(
  parameters: Parameters,
  filters: ReadonlyMap<string, readonly string[]>,
): Parameters {
  const rest = Object.entries(parameters).filter(([key]) => !key.startsWith('Filter.'))
  const written = [...filters].flatMap(([name, values], index) => [
    [`Filter.${index + 1}.Name`, name],
    ...values.map((value, number) => [`Filter.${index + 1}.Value.${number + 1}`, value]),
  ])
  return Object.fromEntries([...rest, ...written]) as Parameters
}

/** Returns the tags in a creating call, keyed by resource type. */
export const tagSpecifications = (parameters: Parameters): Map<string, Map<string, string>> =>
  new Map(
    numbersOf(parameters, 'TagSpecification').map((number) => {
      const prefix = `TagSpecification.${number}`
      const tags = numbersOf(parameters, `${prefix}.Tag`).map((tag): [string, string] => [
        parameters[`${prefix}.Tag.${tag}.Key`] ?? '',
        parameters[`${prefix}.Tag.${tag}.Value`] ?? '',
      ])
      return [parameters[`${prefix}.ResourceType`] ?? '', new Map(tags)]
    }),
  )
