import type { ForwardStatus } from '../../broker/protocol.ts'
import type { Column } from '../../ui/table.ts'

/** The columns of forwarded ports. */
export const forwardColumns: readonly Column<ForwardStatus>[] = [
  { title: 'LOCAL', text: ({ local }) => local, keep: true },
  { title: 'MACHINE', text: ({ machine }) => machine, keep: true },
  { title: 'CONTAINER', text: ({ container = '' }) => container, keep: true },
  { title: 'PORT', text: ({ port }) => String(port), keep: true },
]
