import { describe, expect, test } from 'vitest'
import {
  type PackageState,
  decideUpgrade,
  parsePackageState,
} from '../../../src/provision/engine/upgrade-packages.ts'

const state: PackageState = {
  ...{ package: 'docker-ce', installed: '5:28.1.0-1', candidate: '5:28.2.2-1' },
  ...{ order: 'newer', held: [] },
}

describe('upgrading an engine package', () => {
  test('parses the output of the package manager', () => {
    expect(
      parsePackageState(
        'Reading package lists...\nfleet package=docker.io\nfleet installed=20.10.24+dfsg1-1+deb12u1+b6\nfleet held=docker.io\nfleet held=containerd\nfleet candidate=20.10.25~rc1\nfleet order=newer\n',
      ),
    ).toEqual({
      ...{ package: 'docker.io', installed: '20.10.24+dfsg1-1+deb12u1+b6' },
      ...{ candidate: '20.10.25~rc1', order: 'newer', held: ['docker.io', 'containerd'] },
    })
  })

  test('selects the candidate if it is newer', () => {
    expect(decideUpgrade(state, undefined)).toEqual({
      ...{ package: 'docker-ce', from: '5:28.1.0-1', to: '5:28.2.2-1' },
    })
    expect(decideUpgrade({ ...state, order: 'same' }, '28.2')).toBeUndefined()
    expect(decideUpgrade({ ...state, order: 'older' }, undefined)).toBeUndefined()
  })

  test.each([
    [{ order: 'older' }, '27', /does not downgrade/],
    [{ held: ['docker-ce'] }, undefined, /packages are on hold on the host: docker-ce/],
    [{ candidate: undefined, order: 'none' }, undefined, /no package source/],
  ] as const)('refuses %j with the requested version %s', (different, wanted, reason) => {
    const { candidate, ...rest } = { ...state, ...different }
    const other = { ...rest, ...(candidate !== undefined && { candidate }) }
    expect(() => decideUpgrade(other, wanted)).toThrow(reason)
  })
})
