import { expect, test } from 'vitest'
import { portsText } from '../../../src/commands/container/fields.ts'
import { readContainerNames } from '../../../src/docker/container-names.ts'

test.each([
  ['stop -t 10 --signal=TERM a b', ['a', 'b']],
  ['container stop -t 10 a', ['a']],
  ['--debug rm -fv a', ['a']],
  ['exec -w /x -it a ls b/c', ['a']],
  ['commit -m text a repository/name:1', ['a']],
  ['cp a:/x b/c', ['a:/x']],
  ['cp -L ./d a:/x', ['a:/x']],
  ['update --memory 1g a b', ['a', 'b']],
  ['top a -o pid,cmd', ['a']],
  ['port a 80/tcp', ['a']],
  ['run -v x/y:/z image/name ls', undefined],
  ['image rm a/b', undefined],
  ['constructor a/b', undefined],
])('the containers in "docker %s" are %j', (line, names) => {
  expect(readContainerNames(line.split(' '))?.names).toEqual(names)
})

test('removes only the containers of other machines from a command line', () => {
  const command = readContainerNames(['rm', '-f', 'a', 'b'])
  expect(command?.rename((name) => (name === 'a' ? 'x' : undefined))).toEqual(['rm', '-f', 'x'])
  const exec = '--debug container exec -it -w /b m/a ls -l m/a --'.split(' ')
  const renamed = '--debug container exec -i -t -w=/b a ls -l m/a --'.split(' ')
  expect(readContainerNames(exec)?.rename((name) => name.slice(2))).toEqual(renamed)
})

const port = (PrivatePort: number, PublicPort?: number, IP?: string, Type = 'tcp') => ({
  ...{ PrivatePort, PublicPort, IP, Type },
})

// The expected texts are the output of docker 28.2 for the same ports.
test('shows consecutive ports as a range', () => {
  expect(portsText([port(81), port(80), port(9, undefined, undefined, 'udp')])).toBe(
    '9/udp, 80-81/tcp',
  )
  expect(
    portsText([
      port(80, 8080, '0.0.0.0'),
      port(80, 8080, '::'),
      port(22, 22, '::'),
      port(23, 23, '::'),
    ]),
  ).toBe('[::]:22-23->22-23/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp')
})
