import { expect, test } from 'vitest'
import { imagesView } from '../../../../src/commands/top/views/images.ts'
import { applyUpdate } from '../../../../src/commands/top/model/apply-update.ts'
import { fleetModel, now } from './fleet-model.ts'
import { splitWords, withTargets } from '../../../../src/commands/top/command-lines.ts'

const [app, job, image] = [
  { kind: 'container', machine: 'web-1', id: 'a', name: 'app' },
  { kind: 'container', machine: 'web-2', id: 'b', name: 'job' },
  { kind: 'image', machine: 'web-1', id: 'c', name: 'nginx:1.27' },
] as const
const web1 = { kind: 'machine', machine: 'web-1' } as const
const web2 = { kind: 'machine', machine: 'web-2' } as const

test.each([
  ['logs -n 5', [app, job], 'logs -n 5 web-1/app web-2/job'],
  ['fleet logs', [app], 'logs web-1/app'],
  ['logs other', [app], '-m web-1 logs other'],
  ['logs -m db-1 other', [app], 'logs -m db-1 other'],
  ['ps -a', [web1, web2], '--on web-1 --on web-2 ps -a'],
  ['ps', [app], '-m web-1 ps'],
  ['ps --all', [app], 'ps --all'],
  ['status', [web1, web2], 'status web-1 web-2'],
  ['restart', [app], 'restart web-1'],
  ['history', [image], '-m web-1 history nginx:1.27'],
  ['image ls', [image], '-m web-1 image ls'],
  ['df', [web1], '-m web-1 df'],
  ['version', [web1], 'version'],
  ['ps', [], 'ps'],
] as const)('adds the selected targets to "%s"', (typed, targets, line) => {
  expect(withTargets(typed, targets).join(' ')).toBe(line)
})

test('splits words at spaces outside of quotes', () => {
  expect(splitWords(`ssh -- echo "a b" 'c d'e ""`)).toEqual([
    'ssh',
    '--',
    'echo',
    'a b',
    'c de',
    '',
  ])
  expect(() => splitWords('echo "a')).toThrow(/missing closing quote: "/)
})

test('refers to an image by its ID if its name looks like an option', () => {
  const image = { id: 'sha256:aa', size: 5, shared: 1, created: 0 }
  const names = ['nginx:1.27', '--help']
  const update = {
    kind: 'images',
    machine: 'web-1',
    at: now,
    images: [{ ...image, names }],
  } as const
  const rows = imagesView.rows(applyUpdate(fleetModel(), update))
  expect(rows.map(({ target }) => target)).toMatchObject([
    { kind: 'image', name: 'nginx:1.27' },
    { kind: 'image', name: 'sha256:aa' },
  ])
})
