import { existsSync } from 'node:fs'
import { outside } from '../test/support/lab/outside.ts'
import { runProgram } from '../test/support/lab/process.ts'

/** Programs with which fleet is compared on many hosts, and their Debian packages. */
const packages = {
  '/usr/bin/parallel-ssh': 'pssh',
  '/usr/bin/clush': 'clustershell',
  '/usr/bin/ansible': 'ansible-core',
}

/** Installs missing programs. Their packages do not start any services. */
export async function installPeers(): Promise<void> {
  const missing = Object.entries(packages).flatMap(([program, name]) =>
    existsSync(program) ? [] : [name],
  )
  if (missing.length === 0) return
  const install = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300', 'install', '-y']
  await runProgram(
    outside(
      ...['env', 'DEBIAN_FRONTEND=noninteractive'],
      ...[...install, '--no-install-recommends', '--no-remove', ...missing],
    ),
  )
}
