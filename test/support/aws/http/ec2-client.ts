import { type Tree, parseXml, textOf, childOf } from './xml.ts'
import type { Aws } from '../aws.ts'

/** A response from EC2. */
export interface Ec2Answer {
  readonly status: number
  readonly body: string
  /** Contents of the root element. */
  readonly tree: Tree
  /** The error code; `undefined` for success. */
  readonly code: string | undefined
}

/**
 * Sends one call of EC2's Query protocol to the test double, without the SDK or retries. Throws if there is no
 * response.
 */
export async function callEc2(
  { environment, region }: Aws,
  action: string,
  parameters: Readonly<Record<string, string>> = {},
  where = region,
): Promise<Ec2Answer> {
  const scope = `AKIAMADEUP/20260101/${where}/ec2/aws4_request`
  const response = await fetch(environment['AWS_ENDPOINT_URL'] ?? '', {
    method: 'POST',
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=00`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ Version: '2016-11-15', Action: action, ...parameters }).toString(),
  })
  const body = await response.text()
  const { root, tree } = parseXml(body)
  const code =
    root === 'Response' ? textOf(childOf(childOf(tree, 'Errors'), 'Error'), 'Code') : undefined
  return { status: response.status, body, tree, code }
}

/** Returns the first ID with `prefix` in a response, such as `vpc-0123` for `vpc`; the empty string if there is none. */
export const idIn = (body: string, prefix: string): string =>
  new RegExp(`${prefix}-[0-9a-f]+`).exec(body)?.[0] ?? ''
