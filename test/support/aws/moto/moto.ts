import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findFreePort } from '../../free-port.ts'
import { answersHttp } from '../../lab/probes.ts'
import { ended, hasEnded, spawnTied, until } from '../../lab/process.ts'
import { Ec2Error } from '../http/ec2-error.ts'
import { motoImages } from '../ec2/images.ts'
import { findMoto } from './moto-packages.ts'
import type { Parameters } from '../http/query.ts'
import { type Tree, childOf, itemsOf, parseXml, textOf } from '../http/xml.ts'

/** An HTTP response. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** A moto server with the resources of the account, accessed through HTTP. */
export interface Moto extends AsyncDisposable {
  /** Forwards a request unchanged. */
  forward(headers: Readonly<Record<string, string>>, body: string): Promise<Answer>
  /**
   * Calls EC2 in a region. Returns the contents of the root element; throws an {@link Ec2Error} if
   * it fails.
   */
  ec2(region: string, parameters: Parameters): Promise<Tree>
  /** Deletes everything but the images. */
  reset(): Promise<void>
}

/** Strict checks, as in AWS; any value enables a check. */
const strict = {
  MOTO_ENABLE_AMI_VALIDATION: 'yes',
  MOTO_ENABLE_KEYPAIR_VALIDATION: 'yes',
  MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: 'yes',
}

/** The header from which moto reads the service and the region. It does not check signatures. */
const authorization = (region: string, service = 'ec2') =>
  `AWS4-HMAC-SHA256 Credential=AKIAMADEUP/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=00`

/** Converts an error response of moto to an EC2 error. */
function refusal({ status, body }: Answer, action: string | undefined): Ec2Error {
  const { tree } = body.startsWith('<!doctype') ? { tree: {} } : parseXml(body)
  const errors = childOf(tree, 'Errors') ?? tree
  const error = childOf(errors, 'Error') ?? itemsOf(tree, 'Errors')[0]
  const code = textOf(error, 'Code')
  return code === undefined
    ? new Ec2Error('InvalidAction', `The stand-in cannot do this ${action}: ${body.slice(0, 300)}`)
    : new Ec2Error(
        code,
        (textOf(error, 'Message') ?? code).replace(/^An error occ.*?: /, ''),
        status,
      )
}

/** Starts moto on a free loopback port. It is stopped when this process exits, at the latest. */
export async function startMoto(): Promise<Moto> {
  const [{ server, path }, port, folder] = await Promise.all([
    findMoto(),
    findFreePort(),
    mkdtemp(join(tmpdir(), 'moto-')),
  ])
  const imagesFile = join(folder, 'images.json')
  await writeFile(imagesFile, JSON.stringify(motoImages()))
  const logFile = join(folder, 'moto.log')
  const log = openSync(logFile, 'a')
  const child = spawnTied(['/usr/bin/python3', server, '-H', '127.0.0.1', '-p', String(port)], {
    env: { PATH: process.env['PATH'], PYTHONPATH: path, MOTO_AMIS_PATH: imagesFile, ...strict },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const home = `http://127.0.0.1:${port}/moto-api/data.json`
  await until('moto to answer', async () => {
    if (hasEnded(child)) throw new Error(`moto ended:\n${readFileSync(logFile, 'utf8')}`)
    return (await answersHttp(home)) || undefined
  })

  const agent = new Agent({ keepAlive: false })
  const send = (path: string, headers: Readonly<Record<string, string>>, body: string) =>
    new Promise<Answer>((resolve, reject) => {
      const length = { 'content-length': String(Buffer.byteLength(body)) }
      const options = { host: '127.0.0.1', port, path, method: 'POST', agent }
      const outgoing = request({ ...options, headers: { ...headers, ...length } }, (response) => {
        const type = response.headers['content-type'] ?? 'text/xml'
        text(response).then(
          (body) => resolve({ status: response.statusCode ?? 0, type, body }),
          reject,
        )
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })

  return {
    forward: (headers, body) => send('/', headers, body),
    async ec2(region, parameters) {
      const form = new URLSearchParams({ Version: '2016-11-15', ...parameters }).toString()
      const type = 'application/x-www-form-urlencoded'
      const headers = { authorization: authorization(region), 'content-type': type }
      const answer = await send('/', headers, form)
      if (answer.status !== 200) throw refusal(answer, parameters['Action'])
      return parseXml(answer.body).tree
    },
    async reset() {
      await send('/moto-api/reset', {}, '')
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended(child)
      await rm(folder, { recursive: true, force: true })
    },
  }
}
