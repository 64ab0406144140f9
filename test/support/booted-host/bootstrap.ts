import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

/** Parameters for building a new Debian root directory. */
interface Bootstrap {
  readonly root: string
  readonly packages: readonly string[]
  readonly suite: string
  /** The apt sources file from which packages are installed. */
  readonly sources: string
  /** Additional options of mmdebstrap. */
  readonly more?: readonly string[]
}

/** Creates a Debian root directory with mmdebstrap, without manual pages, locales and documentation. */
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
