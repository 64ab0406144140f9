/**
 * A decision, and which part of it could not be checked because the login lacks the permission.
 * Azure rejects invalid requests itself.
 */
export interface Checked<Value> {
  readonly value: Value
  readonly unchecked?: string
}
