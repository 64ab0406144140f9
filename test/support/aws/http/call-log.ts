import { type Parameters, writeParameters } from './query.ts'

/** A call as it came, and what became of it. */
export interface Call {
  /** 1 for the first since the rig was started or reset. */
  readonly number: number
  /** `ec2`, `sts`, `ssm`. */
  readonly service: string
  readonly region: string
  readonly action: string
  readonly parameters: Parameters
  /** Whether the same question was asked before: only repeated Describe calls are polling. */
  readonly polling: boolean
  /** Whether it was passed on: what it asks for has happened, whatever the client was told. */
  executed: boolean
  /** `ok`, an error's code, or `lost`: no answer was sent. Nothing while it is under way. */
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
