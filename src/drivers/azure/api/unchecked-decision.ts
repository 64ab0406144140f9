/** A decision, and what of it could not be checked beforehand since the login may not ask; Azure itself refuses what cannot be. */
export interface Checked<Value> {
  readonly value: Value
  readonly unchecked?: string
}
