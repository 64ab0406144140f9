import { once } from 'node:events'
import { type IncomingMessage, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A query to EC2. */
interface Question {
  readonly region: string
  readonly action: string
  /** Names of the filters. */
  readonly filters: readonly string[]
}

/** EC2 with many running instances. It only supports queries. */
export interface ManyInstances extends AsyncDisposable {
  /** Environment variables for a program. */
  readonly environment: Readonly<Record<string, string>>
  /** A machines.yaml with all instances. */
  readonly inventory: string
  readonly asked: Question[]
}

const regions = ['eu-west-1', 'us-east-1', 'ap-south-1']
const fleet = '0123abcd'
/** The maximum number of values in a filter (EC2 API reference, DescribeInstances). */
const mostValues = 200

const idOf = (index: number): string => `i-${String(index).padStart(17, '0')}`
const addressOf = (index: number): string => `10.0.${index >> 8}.${index & 255}`
const tokenOf = (index: number): string =>
  `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
const regionOf = (index: number): string => regions[index % regions.length] ?? ''

const entry = (index: number): string => `  web-${index}:
    driver: aws
    labels:
      role: web
    options:
      region: ${regionOf(index)}
    host:
      phase: ready
      token: ${tokenOf(index)}
      id: ${idOf(index)}
      address: ${addressOf(index)}
      user: fleet
      hostKeys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB
      resources:
        region: ${regionOf(index)}
        access: public
      created: 2026-01-01T00:00:00.000Z
`

const instance = (index: number): string =>
  `<item><reservationId>r-${index}</reservationId><instancesSet><item><instanceId>${idOf(index)}</instanceId><instanceType>t3.small</instanceType><instanceState><code>16</code><name>running</name></instanceState><ipAddress>${addressOf(index)}</ipAddress><tagSet><item><key>fleet:id</key><value>${fleet}</value></item><item><key>fleet:token</key><value>${tokenOf(index)}</value></item></tagSet></item></instancesSet></item>`

const answer = (action: string, inside: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId>${inside}</${action}Response>`

const regionInfo = regions
  .map((region) => `<item><regionName>${region}</regionName></item>`)
  .join('')

/** Returns the filters of a query. Checks that none has too many values. */
function readFilters(query: URLSearchParams): readonly string[] {
  const filters = new Map<string, number>()
  for (const key of query.keys()) {
    const [, number] = /^Filter\.(\d+)\.Value\.\d+$/.exec(key) ?? []
    const name = query.get(`Filter.${number}.Name`)
    if (name !== null) filters.set(name, (filters.get(name) ?? 0) + 1)
  }
  for (const [name, values] of filters) {
    if (values > mostValues) throw new Error(`${values} values of the filter ${name}`)
  }
  return [...filters.keys()]
}

async function readQuestion(request: IncomingMessage): Promise<Question> {
  const query = new URLSearchParams(await text(request))
  const region = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(request.headers.authorization ?? '')?.[1]
  return {
    region: region ?? '',
    action: query.get('Action') ?? '',
    filters: readFilters(query),
  }
}

/** Starts EC2 with `count` instances in three regions. */
export async function serveManyInstances(count: number): Promise<ManyInstances> {
  const indexes = Array.from({ length: count }, (_, index) => index)
  const instancesIn = new Map(
    regions.map((region) => [
      region,
      indexes
        .filter((index) => regionOf(index) === region)
        .map(instance)
        .join(''),
    ]),
  )
  const asked: Question[] = []
  const insideOf = ({ region, action }: Question): string => {
    if (action === 'DescribeRegions') return `<regionInfo>${regionInfo}</regionInfo>`
    const found = action === 'DescribeInstances' ? instancesIn.get(region) : undefined
    return found === undefined ? '' : `<reservationSet>${found}</reservationSet>`
  }
  const server = createServer((request, response) => {
    readQuestion(request).then(
      (question) => {
        asked.push(question)
        response.setHeader('content-type', 'text/xml')
        response.end(answer(question.action, insideOf(question)))
      },
      (error: unknown) => response.writeHead(400).end(String(error)),
    )
  })
  server.unref()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    environment: {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'made-up',
      AWS_SECRET_ACCESS_KEY: 'made-up',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    inventory: `version: 1\nid: ${fleet}\nmachines:\n${indexes.map(entry).join('')}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
