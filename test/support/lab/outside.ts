/** Puts a command into the machine's own network, where its packages come from. */
export function outside(...argv: string[]): [string, ...string[]] {
  const namespace = process.env['FLEET_LAB_OUTSIDE']
  if (namespace === undefined) throw new Error('no lab here: run this through `npm test`')
  return ['nsenter', `--net=${namespace}`, '--', ...argv]
}
