import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { operationOf } from './azure.ts'
import type { Exchange } from './exchange.ts'

const specs = join(import.meta.dirname, '../../../../shared/azure-specs')

/** The reason why exchanges cannot be checked on this computer; undefined if they can. */
export const judgeIsMissing: string | undefined = existsSync(specs)
  ? undefined
  : "Microsoft's descriptions of Azure are not beside this checkout (../shared/azure-specs)"

/** The result of checking an exchange against Microsoft's API descriptions. */
export interface Verdict {
  readonly operation: string
  readonly status: number
  /** Whether the operation is missing from the descriptions. */
  readonly isUnknown: boolean
  readonly troubles: readonly string[]
}

const parse = (text: string): unknown => (text === '' ? undefined : JSON.parse(text))

/** Returns whether an operation is checked. Logins, polls of operations and registrations of providers are not. */
const isJudged = (operation: string): boolean =>
  !/^\S+ (?:operation|login\.)/.test(operation) &&
  !/ Microsoft\.\w+(?:\/register)?$/.test(operation)

/** Returns the shape of an exchange, without names, numbers and times. */
const shapeOf = ({ request, answer }: Exchange): string =>
  [operationOf(request), answer.status, request.text, JSON.stringify(answer)]
    .join(' ')
    .replaceAll(/&t=[^"]*/g, '')
    .replaceAll(/"customData":"[^"]*"/g, '')
    .replaceAll(/[0-9A-Fa-f]*\d[0-9A-Fa-f]*/g, '0')

/** Returns one exchange of each shape. */
function distinct(exchanges: readonly Exchange[]): Exchange[] {
  const shapes = new Map(exchanges.map((exchange) => [shapeOf(exchange), exchange]))
  return [...shapes.values()]
}

/**
 * Checks exchanges against Microsoft's API descriptions: requests, responses, and the bodies of
 * PUT.
 */
export async function judge(exchanges: readonly Exchange[]): Promise<Verdict[]> {
  const judged = distinct(exchanges.filter(({ request }) => isJudged(operationOf(request))))
  const folder = await mkdtemp(join(tmpdir(), 'judge-'))
  const file = join(folder, 'verdicts.json')
  try {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'judge.mjs'), specs, file], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    child.stdin.end(
      JSON.stringify(
        judged.map(({ request, answer }) => ({
          method: request.method,
          url: `https://${request.host}${request.rawUrl}`,
          headers: { 'content-type': 'application/json' },
          requestBody: parse(request.text),
          status: answer.status,
          answerHeaders: {
            ...answer.headers,
            ...(answer.body !== undefined && { 'content-type': 'application/json' }),
          },
          body: answer.body,
        })),
      ),
    )
    await once(child, 'exit')
    const verdicts = JSON.parse(await readFile(file, 'utf8')) as Pick<
      Verdict,
      'isUnknown' | 'troubles'
    >[]
    return verdicts.map((verdict, index) => {
      const { request, answer } = judged[index] as Exchange
      return { ...verdict, operation: operationOf(request), status: answer.status }
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
