import { Ec2Error } from '../http/ec2-error.ts'
import { type Parameters, writeParameters } from '../http/query.ts'

/** Parameters that are ignored when two calls are compared. */
const ignored = new Set(['Action', 'Version', 'ClientToken', 'DryRun'])

const essence = (parameters: Parameters) => writeParameters(parameters, ignored)

/** Client tokens of RunInstances with their results. A failed call releases its token. */
export class ClientTokens<T> {
  readonly #given = new Map<string, { readonly essence: string; readonly result: Promise<T> }>()

  /** Returns the result of `make`, or the earlier result for this token. */
  async once(
    scope: string,
    parameters: Parameters,
    make: () => Promise<T>,
  ): Promise<{ readonly result: T; readonly isRepeated: boolean }> {
    const token = parameters['ClientToken']
    if (token === undefined) return { result: await make(), isRepeated: false }
    const key = `${scope}/${token}`
    const earlier = this.#given.get(key)
    if (earlier) {
      if (earlier.essence !== essence(parameters))
        throw new Ec2Error(
          'IdempotentParameterMismatch',
          'The client token you have provided is associated with a resource that is not the same as the one you are trying to create.',
        )
      return { result: await earlier.result, isRepeated: true }
    }
    const result = make()
    this.#given.set(key, { essence: essence(parameters), result })
    result.catch(() => this.#given.delete(key))
    return { result: await result, isRepeated: false }
  }

  clear(): void {
    this.#given.clear()
  }
}
