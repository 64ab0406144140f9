import { describe, expect, test } from 'vitest'
import { applyUpdate } from '../../../../src/commands/top/model/apply-update.ts'
import { demandOf } from '../../../../src/commands/top/demand.ts'
import { listOf } from '../../../../src/commands/top/list.ts'
import { type Model } from '../../../../src/commands/top/model/model.ts'
import { cellWidth } from '../../../../src/ui/screen/canvas.ts'
import {
  container,
  fleetModel,
  machine,
  now,
  press,
  screenOf,
  stats,
  typing,
} from './fleet-model.ts'

const ids = (model: Model): readonly string[] => listOf(model).rows.map((row) => row.cell(0).text)

const selected = (model: Model): string | undefined => {
  const { rows, cursor } = listOf(model)
  return rows[cursor]?.cell(0).text
}

describe('the list', () => {
  test('switches views with number and arrow keys', () => {
    const views = ['2', '3', '4', '5', '6', '1', 'left', 'right'].map(
      (key) => press(fleetModel(), key).model.view,
    )
    expect(views).toEqual([
      'containers',
      'images',
      'stacks',
      'services',
      'events',
      'machines',
      'events',
      'containers',
    ])
  })

  test('keeps the selection on its row when rows are added, and within the list when rows are removed', () => {
    const { model } = press(fleetModel(), '2', 'down', 'down')
    expect(selected(model)).toBe('job')
    const more = applyUpdate(model, {
      ...{ kind: 'containers', machine: 'web-1', at: now },
      containers: [container('new'), container('job', { state: 'exited' })],
    })
    expect(selected(more)).toBe('job')
    const gone = applyUpdate(more, {
      kind: 'containers',
      machine: 'web-1',
      containers: [],
      at: now,
    })
    expect(selected(gone)).toBe('cache')
    expect(selected(press(gone, 'down', 'down').model)).toBe('cache')
    expect(selected(press(model, 'end').model)).toBe('cache')
    expect(selected(press(model, 'home', 'up').model)).toBe('shop-web')
  })

  test('scrolls to keep the selection visible', () => {
    const many = applyUpdate(fleetModel({ rows: 10 }), {
      ...{ kind: 'containers', machine: 'web-1', at: now },
      containers: Array.from({ length: 50 }, (_, index) => container(`app-${index}`)),
    })
    const { model } = press(many, '2', ...Array.from({ length: 20 }, () => 'down'))
    expect(screenOf(model)).toContain('> app-20')
    expect(screenOf(model)).not.toContain('app-9 ')
    expect(screenOf(press(model, 'end').model)).toContain('> cache')
    expect(screenOf(press(model, 'g').model)).toContain('> app-0')
  })

  test('sorts by each column in turn: text ascending, numbers descending; S reverses the order', () => {
    const { model } = press(fleetModel(), '2', 's')
    expect(ids(model)).toEqual(['cache', 'job', 'shop-db', 'shop-web'])
    expect(screenOf(model)).toContain('CONTAINERv')
    expect(ids(press(model, 'S').model)).toEqual(['shop-web', 'shop-db', 'job', 'cache'])
    const columns = listOf(model).view.columns.length
    const round = press(fleetModel(), '2', ...Array.from({ length: columns + 1 }, () => 's'))
    expect(ids(round.model)).toEqual(['shop-web', 'shop-db', 'job', 'cache'])
  })

  test('groups by machine and by stack, and reports views that have no grouping', () => {
    const { model } = press(fleetModel(), '2', 'tab')
    expect(screenOf(model)).toMatch(/web-1 \(3\)\n> shop-web[^]*web-2 \(1\)\n {2}cache/)
    expect(screenOf(press(model, 'tab').model)).toMatch(/\(no stack\) \(2\)[^]*shop \(2\)/)
    expect(screenOf(press(model, 'shift-tab').model)).not.toContain('web-1 (3)')
    expect(press(fleetModel(), 'tab').model.message?.text).toMatch(/Grouping is not available/)
  })

  test('shows the end of a filter that is too long for the screen', () => {
    const { model } = press(fleetModel(), '/', ...typing(`${'漢'.repeat(400)}end`))
    const status = screenOf(model).split('\n').at(-2) ?? ''
    expect(status).toMatch(/^漢+end_ ?$/)
    expect(cellWidth(status)).toBeLessThanOrEqual(model.columns)
    const hidden = press(model, ...typing('\u200B\u202E!')).model
    expect(screenOf(hidden).split('\n').at(-2)).toMatch(/^漢+end.*!_ ?$/)
  })

  test('filters while the filter is being typed; Esc restores the previous filter', () => {
    const { model } = press(fleetModel(), '2', '/', ...typing('role=web shop'))
    expect(ids(model)).toEqual(['shop-web', 'shop-db'])
    expect(screenOf(model)).toContain('Filter: role=web shop_')
    const kept = press(model, 'enter').model
    expect(screenOf(kept)).toContain('filter: role=web shop (2 of 4)')
    expect(ids(press(kept, '/', ...typing('x'), 'escape').model)).toEqual(['shop-web', 'shop-db'])
    expect(ids(press(kept, 'escape').model)).toHaveLength(4)
    expect(ids(press(model, 'ctrl-u').model)).toHaveLength(4)
    expect(press(kept, '/', 'ctrl-w', 'backspace').model.dialog).toMatchObject({ text: 'role=web' })
    const none = press(fleetModel(), '/', ...typing('nothing'), 'enter').model
    expect(screenOf(none)).toContain('No machines match nothing')
    expect(press(none, 'enter').model.message?.text).toBe('Nothing is selected.')
  })

  test('quits, suspends, redraws and reconnects', () => {
    for (const [key, kind] of [
      ['q', 'quit'],
      ['ctrl-c', 'quit'],
      ['ctrl-z', 'suspend'],
      ['ctrl-l', 'redraw'],
      ['r', 'retry'],
    ] as const) {
      expect(press(fleetModel(), key).effects).toEqual([{ kind }])
    }
  })

  test('shows scrollable help, which any other key closes', () => {
    const { model } = press(fleetModel({ rows: 8 }), '?', 'down')
    expect(screenOf(model)).toContain('Select a row')
    expect(press(model, 'x').model.page.kind).toBe('list')
  })
})

describe('actions', () => {
  test('on all marked rows need a single confirmation', () => {
    const { model, effects } = press(fleetModel(), '2', ' ', ' ', 'x', 'o')
    expect(screenOf(model)).toContain('Stop 2 containers on web-1? [y/N]')
    expect(effects).toEqual([])
    const done = press(model, 'y')
    expect(done.effects).toMatchObject([
      { kind: 'change', change: 'stop', targets: [{ name: 'shop-web' }, { name: 'shop-db' }] },
    ])
    const not = press(model, 'n')
    expect(not.effects).toEqual([])
    expect(not.model.message?.text).toBe('Nothing was changed.')
  })

  test('that stop or delete nothing need no confirmation', () => {
    expect(press(fleetModel(), '2', 'x', 's').effects).toMatchObject([
      { kind: 'change', change: 'start', targets: [{ kind: 'container', name: 'shop-web' }] },
    ])
  })

  test('on protected machines need the name of each protected machine', () => {
    const { model } = press(fleetModel(), 'end', 'x', 'o')
    expect(screenOf(model)).toContain('db-1 is protected. Stop machine db-1? Type db-1 to confirm:')
    expect(press(model, 'y', 'enter')).toMatchObject({
      effects: [],
      model: {
        message: { text: 'Nothing was changed: db-1 is protected, and its name was not typed.' },
      },
    })
    expect(press(model, ...typing('db-1'), 'enter').effects).toMatchObject([
      { kind: 'change', change: 'stop', targets: [{ kind: 'machine', machine: 'db-1' }] },
    ])
    const all = press(fleetModel(), ' ', ' ', ' ', 'x', 'o').model
    expect(screenOf(all)).toContain('db-1 is protected. Stop 3 machines?')
    expect(press(all, 'escape').effects).toEqual([])
  })

  test('on images pull them by name on their machines', () => {
    const model = applyUpdate(fleetModel(), {
      ...{ kind: 'images', machine: 'web-1', at: now },
      images: [
        { id: 'sha256:aa', names: ['nginx:1.27'], size: 5, shared: 1, created: 0 },
        { id: 'sha256:bb', names: [], size: 5, shared: undefined, created: 0 },
      ],
    })
    expect(screenOf(press(model, '3').model)).toMatch(/nginx:1.27 .*used[^]*<none> .*dangling/)
    expect(press(model, '3', 'x', 'p').effects).toEqual([
      { kind: 'run', lines: [['-m', 'web-1', 'pull', 'nginx:1.27']], pauses: true },
    ])
    const dangling = press(model, '3', 'down', 'x', 'p')
    expect(dangling.effects).toEqual([])
    expect(dangling.model.message?.text).toMatch(/without a name cannot be pulled/)
  })

  test('are not available for stacks and events, or with --read-only', () => {
    expect(press(fleetModel(), '4', 'x').model.message?.text).toMatch(/To show actions/)
    for (const key of ['x', 'e', ':']) {
      const { model, effects } = press({ ...fleetModel(), isReadOnly: true }, key)
      expect(effects).toEqual([])
      expect(model.message?.text).toMatch(/--read-only/)
    }
    expect(screenOf({ ...fleetModel(), isReadOnly: true })).not.toContain('x actions')
  })
})

describe('shells, commands and details', () => {
  test('opens a shell in the selected container or on the selected machine', () => {
    expect(press(fleetModel(), 'e').effects).toEqual([
      { kind: 'run', lines: [['ssh', 'web-1']], pauses: false },
    ])
    const [effect] = press(fleetModel(), '2', 'e').effects
    expect(effect).toMatchObject({
      lines: [['-m', 'web-1', 'exec', '-it', expect.any(String), 'sh', '-c', expect.any(String)]],
    })
    expect(press(fleetModel(), '6', 'e').model.message?.text).toMatch(/To open a shell/)
  })

  test('runs a command for the marked rows', () => {
    expect(press(fleetModel(), ' ', ' ', ':', ...typing('ps'), 'enter').effects).toEqual([
      {
        ...{ kind: 'command', text: 'ps' },
        targets: [
          { kind: 'machine', machine: 'web-1' },
          { kind: 'machine', machine: 'web-2' },
        ],
      },
    ])
    expect(press(fleetModel(), ':', 'enter').effects).toEqual([])
    expect(press(fleetModel(), '4', ':', ...typing('df'), 'enter').effects).toMatchObject([
      { targets: [{ kind: 'machine', machine: 'web-1' }] },
    ])
  })

  test('shows details once they are read, and reports when the item no longer exists', () => {
    const { model, effects } = press(fleetModel({ rows: 24 }), '2', 'enter')
    expect(effects).toMatchObject([{ kind: 'details', target: { name: 'shop-web' } }])
    const of = (effects[0] as { of: string }).of
    const read = applyUpdate(model, {
      ...{ kind: 'details', of, details: { kind: 'json', lines: ['{', '  "Id": "x"', '}'] } },
    })
    expect(screenOf(read)).toContain('"Id": "x"')
    const gone = applyUpdate(read, {
      kind: 'containers',
      machine: 'web-1',
      containers: [],
      at: now,
    })
    expect(screenOf(gone)).toContain('This item no longer exists.')
    expect(press(gone, 'escape').model.page.kind).toBe('list')
  })

  test('requests stats for the running containers that are visible or shown in details', () => {
    expect(demandOf(fleetModel()).stats.size).toBe(0)
    const { model } = press(fleetModel(), '2')
    expect(demandOf(model).stats.get('web-1')).toHaveLength(2)
    expect(demandOf(press(model, 'enter').model).stats.get('web-1')).toHaveLength(1)
    expect(demandOf(press(model, 'end', 'enter').model).stats.has('web-1')).toBe(false)
    expect(demandOf(press(model, '4').model).stats.get('web-1')).toHaveLength(2)
    expect(demandOf(press(model, '3').model)).toMatchObject({ images: true })
  })
})

const entry = (line: string) => ({
  ...{ machine: 'web-1', container: 'shop-web', stream: 'stdout' as const, line },
  time: '2026-01-01T10:11:12.000000000Z',
})

const withLines = (model: Model, ...lines: string[]): Model =>
  applyUpdate(model, { kind: 'logs', entries: lines.map(entry) })

describe('logs', () => {
  test('are followed for marked containers and for stacks', () => {
    expect(press(fleetModel(), '2', ' ', ' ', 'l').effects).toMatchObject([
      { kind: 'logs', targets: [{ name: 'shop-web' }, { name: 'shop-db' }] },
    ])
    expect(press(fleetModel(), '4', 'l').effects).toMatchObject([
      { kind: 'logs', targets: [{ name: 'shop-web' }, { name: 'shop-db' }] },
    ])
    expect(press(fleetModel(), 'l').model.message?.text).toMatch(/To show logs/)
  })

  test('fold JSON, can be searched, and can be paused', () => {
    const { model } = press(fleetModel(), '2', 'l')
    const numbers = Array.from({ length: 40 }, (_, index) => `line ${index}`)
    const filled = withLines(model, ...numbers, '{"level":"warn","msg":"slow","ms":7}')
    expect(screenOf(filled)).toContain('10:11:12 WARN slow ms=7')
    expect(screenOf(press(filled, 'f').model)).toContain('{"level":"warn"')
    const found = press(filled, '/', ...typing('line 7'), 'enter').model
    expect(screenOf(found)).toMatch(/paused.*1 matching line 7\n.*line 7\n/)
    expect(press(found, 'n').model.message?.text).toMatch(/No more lines/)
    expect(screenOf(press(found, 'end').model)).toContain('following')
    const paused = press(filled, ' ').model
    const later = withLines(paused, 'news')
    expect(screenOf(later)).not.toContain('news')
    expect(screenOf(press(later, ' ').model)).toContain('news')
    expect(press(filled, 'escape').effects).toEqual([{ kind: 'logs', targets: [] }])
  })

  test('show only the selected line in full after Enter', () => {
    const { model } = press(fleetModel({ columns: 60 }), '2', 'l')
    const json = '{"level":"warn","msg":"slow","user":{"id":7}}'
    const filled = withLines(model, json, 'x'.repeat(120), json, 'last')
    const opened = press(filled, 'up', 'enter').model
    expect(screenOf(opened)).toMatch(
      /10:11:12 WARN slow user=\{"id":7\}\n[^]*10:11:12>\{\n {11}"level": "warn",\n[^]*"id": 7\n/,
    )
    expect(screenOf(press(opened, 'enter').model)).toMatch(/10:11:12>WARN slow/)
    const wrapped = press(filled, 'g', 'down', 'enter').model
    expect(screenOf(wrapped)).toMatch(/10:11:12>x{51}\n {9}x{51}\n {9}x{18}\n10:11:12 WARN/)
    const following = press(wrapped, 'end').model
    expect(screenOf(following)).toMatch(/following[^]*10:11:12 last/)
    expect(screenOf(press(wrapped, 'f').model)).toMatch(/10:11:12>x{50}…\n/)
  })

  test('keep the selected line visible when unfolded lines are taller', () => {
    const { model } = press(fleetModel({ rows: 10 }), '2', 'l')
    const json = '{"level":"info","msg":"a","b":1}'
    const lines = Array.from({ length: 30 }, (_, index) => (index % 5 ? `line ${index}` : json))
    let shown = press(withLines(model, ...lines), 'g').model
    for (let index = 0; index < 28; index += 1) {
      if (index % 5 === 0) shown = press(shown, 'enter').model
      expect(screenOf(shown)).toMatch(/10:11:12>/)
      shown = press(shown, 'down').model
    }
    expect(screenOf(shown)).toContain('>line 28')
    expect(screenOf(press(shown, 'down').model)).toMatch(/following[^]*line 29/)
  })

  test('keep the newest lines, and the scroll position while paused', () => {
    const { model } = press(fleetModel(), '2', 'l')
    const many = withLines(model, ...Array.from({ length: 12_000 }, (_, index) => `line ${index}`))
    expect(screenOf(many)).toContain('line 11999')
    const { page } = many
    expect(page.kind === 'logs' && page.lines.length).toBe(10_000)
    const paused = press(many, 'up').model
    const before = screenOf(paused).split('\n')[1]
    expect(screenOf(withLines(paused, 'more')).split('\n')[1]).toBe(before)
  })
})

test('stacks show unfinished deployments and services with different configurations', () => {
  const [web1, web2] = ['a', 'b'].map((hash, index) =>
    container(`shop-web-${index + 1}`, { stack: 'shop', service: 'web', hash }),
  )
  const mark = container('fleet-unfinished-shop', {
    ...{ stack: 'shop', state: 'created', isUnfinishedMark: true },
  })
  const shown = (...containers: readonly (typeof mark | undefined)[]): string => {
    const model = applyUpdate(fleetModel(), {
      ...{ kind: 'containers', machine: 'web-1', at: now },
      containers: containers.filter((one) => one !== undefined),
    })
    return `${screenOf(press(model, '4').model)}\n${screenOf(model)}`
  }
  expect(shown(web1, web1)).toMatch(/shop +web-1 +running +2\/2[^]*web-1 .* ok/)
  expect(shown(web1, web2)).toMatch(/shop +web-1 +mixed +2\/2/)
  expect(shown(web1, mark)).toMatch(/shop +web-1 +unfinished +1\/1/)
  expect(shown(mark)).toMatch(/shop +web-1 +unfinished +0\/0/)
})

test('usage is shown per second, computed from two readings', () => {
  const { model } = press(fleetModel({ columns: 200 }), '2')
  const { id } = container('shop-web')
  const reading = { kind: 'stats', machine: 'web-1', container: id, restarts: 3 } as const
  const first = applyUpdate(model, { ...reading, stats: stats('shop-web', 50, 1000) })
  expect(screenOf(first)).toMatch(/shop-web .*250MB/)
  const next = applyUpdate(
    { ...first, now: now + 2000 },
    { ...reading, stats: stats('shop-web', 50, 5000) },
  )
  expect(screenOf(next)).toMatch(/shop-web .* 50.0% .*250MB .*25% .*2kB 0B +3 /)
  expect(screenOf(press(next, 'enter').model)).toMatch(/Net in .*2kB\/s/)
  const restarted = applyUpdate(next, { ...reading, stats: stats('shop-web', 50, 10) })
  expect(screenOf(restarted)).toMatch(/shop-web .*0B 0B/)
})

test('an unreachable machine is reported with the age of its data', () => {
  const later = { ...fleetModel({ columns: 120 }), now: now + 4500 }
  expect(screenOf(later)).toMatch(/web-1 +unreachable 4s .*2\/3/)
  const lost = applyUpdate(later, {
    kind: 'lost',
    machine: 'web-1',
    reason: 'timed out',
    isHost: true,
  })
  expect(screenOf(press(lost, 'enter').model)).toMatch(/Reason +timed out/)
  const engine = applyUpdate(later, {
    kind: 'lost',
    machine: 'web-1',
    reason: 'down',
    isHost: false,
  })
  expect(screenOf(engine)).toContain('no-engine')
})

test('every view, page and dialog fits every window size', () => {
  const wide = machine('日本-1')
  for (const [rows, columns] of [
    [20, 60],
    [100, 300],
    [1, 1],
    [3, 10],
  ] as const) {
    const start = { ...fleetModel(), rows, columns }
    const machines = new Map(start.machines).set('日本-1', {
      ...{ machine: wide, phase: 'connecting', cpu: [], memory: [] },
    })
    for (const keys of [
      ['1'],
      ['2'],
      ['3'],
      ['4'],
      ['5'],
      ['6'],
      ['?'],
      ['enter'],
      ['2', 'enter'],
      ['2', 'l'],
      ['2', 'x'],
      ['x', 'o'],
      ['/', 'a'],
    ]) {
      const { model } = press({ ...start, machines }, ...keys)
      expect(screenOf(model).split('\n')).toHaveLength(rows)
    }
  }
})
