/** The flags of `fleet create` and `fleet adopt` themselves, without the dashes: no option of a driver can have one. */
export const reservedFlags: ReadonlySet<string> = new Set(
  'driver extends count label protected engine-version engine-channel engine no-engine user-data identity via install-engine host-key accept-new allow-path rollback yes name inventory machine on all parallel timeout max-fail retry-failed fold json quiet help version'.split(
    ' ',
  ),
)
