import type { Target } from '../../../operations/top/open-sources.ts'
import type { Tone } from '../../../ui/screen/palette.ts'
import {
  type Grouping,
  type MachineModel,
  type Model,
  type ViewName,
  isStale,
} from '../model/model.ts'

/** A cell of a table. */
export interface Cell {
  readonly text: string
  readonly tone?: Tone
  /** The share that a bar before the text represents. */
  readonly bar?: number | undefined
  /** The shares that a sparkline before the text represents. */
  readonly spark?: readonly number[]
}

/** A column of a view. */
interface Column<Item> {
  readonly title: string
  readonly width: number
  /** The column's share of the remaining width, relative to the shares of other columns. */
  readonly grow?: number
  readonly right?: boolean
  /**
   * If the window is too narrow, columns with higher numbers are left out first. If absent, the column is never left
   * out.
   */
  readonly drop?: number
  /** Returns the value by which rows are sorted. Numbers are sorted in descending order, texts in ascending order. */
  readonly value: (item: Item, model: Model) => number | string
  readonly cell: (item: Item, model: Model) => Cell
}

/** A view of the model as a table. */
export interface ViewDefinition<Item> {
  readonly name: ViewName
  readonly groupings: readonly Grouping[]
  readonly items: (model: Model) => readonly Item[]
  readonly id: (item: Item) => string
  /** Returns the machine of an item. */
  readonly machine: (item: Item, model: Model) => MachineModel | undefined
  readonly stack: (item: Item) => string
  /** Returns the swarm of an item. Absent if items belong to machines. */
  readonly swarm?: (item: Item) => string
  /**
   * Returns whether the data of an item is outdated. If this is absent, the data is outdated when the item's machine
   * does not answer.
   */
  readonly isStale?: (item: Item) => boolean
  readonly state: (item: Item, model: Model) => string
  readonly text: (item: Item, model: Model) => string
  readonly target: (item: Item) => Target | undefined
  readonly columns: readonly Column<Item>[]
}

/** A row of a view, whose cells are computed when they are drawn. */
export class Row<Item = unknown> {
  readonly id: string
  readonly item: Item
  readonly view: ViewDefinition<Item>
  readonly #model: Model

  constructor(view: ViewDefinition<Item>, item: Item, model: Model) {
    this.view = view
    this.item = item
    this.id = view.id(item)
    this.#model = model
  }

  get machine(): MachineModel | undefined {
    return this.view.machine(this.item, this.#model)
  }

  get stack(): string {
    return this.view.stack(this.item)
  }

  get swarm(): string {
    return this.view.swarm?.(this.item) ?? ''
  }

  get isStale(): boolean {
    const { machine, view } = this
    if (view.isStale !== undefined) return view.isStale(this.item)
    return machine !== undefined && isStale(machine, this.#model.now)
  }

  get state(): string {
    return this.view.state(this.item, this.#model)
  }

  get target(): Target | undefined {
    return this.view.target(this.item)
  }

  text(): string {
    return this.view.text(this.item, this.#model)
  }

  value(column: number): number | string {
    return this.view.columns[column]?.value(this.item, this.#model) ?? ''
  }

  cell(column: number): Cell {
    return this.view.columns[column]?.cell(this.item, this.#model) ?? { text: '' }
  }
}

/** A view, without the type of its items. */
export interface View {
  readonly name: ViewName
  readonly groupings: readonly Grouping[]
  readonly columns: readonly Pick<Column<never>, 'title' | 'width' | 'grow' | 'right' | 'drop'>[]
  readonly rows: (model: Model) => Row[]
}

/** The column that names the machine of a row. */
export const machineColumn: Column<{ readonly machine: MachineModel }> = {
  title: 'MACHINE',
  width: 10,
  grow: 1,
  value: ({ machine }) => machine.machine.name,
  cell: ({ machine }) => ({ text: machine.machine.name }),
}

export const defineView = <Item>(definition: ViewDefinition<Item>): View => ({
  name: definition.name,
  groupings: definition.groupings,
  columns: definition.columns,
  rows: (model) =>
    definition.items(model).map((item) => new Row(definition, item, model) as unknown as Row),
})
