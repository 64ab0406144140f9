/** Returns a command that runs in this computer's network namespace, from which packages can be downloaded. */
export function outside(...argv: string[]): [string, ...string[]] {
  const namespace = process.env['FLEET_LAB_OUTSIDE']
  if (namespace === undefined) throw new Error('no lab here: run this through `npm test`')
  return ['nsenter', `--net=${namespace}`, '--', ...argv]
}
