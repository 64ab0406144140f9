import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

/** A root folder of Debian that is to be made. */
interface Bootstrap {
  readonly root: string
  readonly packages: readonly string[]
  readonly suite: string
  /** Of apt: where the packages come from. */
  readonly sources: string
  /** Options of mmdebstrap besides. */
  readonly more?: readonly string[]
}

/** Makes a root folder of Debian with mmdebstrap, without what nobody reads there. */
export async function bootstrapDebian({
  root,
  packages,
  suite,
  sources,
  more = [],
}: Bootstrap): Promise<void> {
  const skipped = ['man', 'locale', 'doc']
  const options = [
    '--mode=root',
    '--variant=apt',
    `--include=${packages.join(',')}`,
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Check-Date "false"',
    ...skipped.map((part) => `--dpkgopt=path-exclude=/usr/share/${part}/*`),
    ...more,
  ]
  await runProgram(outside('mmdebstrap', ...options, suite, root, sources))
}
