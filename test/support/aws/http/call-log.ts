import { type Parameters, writeParameters } from './query.ts'

/** A call and its outcome. */
export interface Call {
  /** Sequence number, counted from 1 since the start or the last reset. */
  readonly number: number
  /** `ec2`, `sts` or `ssm`. */
  readonly service: string
  readonly region: string
  readonly action: string
  readonly parameters: Parameters
  /** Whether the same call was made before: only repeated Describe calls count as polling. */
  readonly polling: boolean
  /** Whether the call was executed, regardless of the response. */
  executed: boolean
  /** `ok`, an error code, or `lost` if no response was sent; `undefined` while the call is running. */
  outcome: string | undefined
}

/** The calls so far. */
export class CallLog {
  #calls: Call[] = []
  #seen = new Set<string>()

  get calls(): readonly Call[] {
    return this.#calls
  }

  add(service: string, region: string, parameters: Parameters): Call {
    const action = parameters['Action'] ?? ''
    const question = `${service} ${region} ${writeParameters(parameters)}`
    const polling = action.startsWith('Describe') && this.#seen.has(question)
    this.#seen.add(question)
    const number = this.#calls.length + 1
    const call = { number, service, region, action, parameters, polling }
    const entry: Call = { ...call, executed: false, outcome: undefined }
    this.#calls.push(entry)
    return entry
  }

  clear(): void {
    this.#calls = []
    this.#seen.clear()
  }
}
