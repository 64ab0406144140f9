/**
 * Flags of `fleet create` and `fleet adopt`, without dashes. Options of drivers cannot have these
 * names.
 */
export const reservedFlags: ReadonlySet<string> = new Set(
  'driver extends count label protected engine-version engine-channel engine no-engine user-data identity via install-engine host-key accept-new allow-path rollback yes name inventory machine on all parallel timeout max-fail retry-failed fold json quiet help version'.split(
    ' ',
  ),
)
