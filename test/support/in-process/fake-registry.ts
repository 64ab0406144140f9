import { type RequestListener, createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

/** A registry emulated in this process. */
export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly name: string
}

/** Answers like a registry with two repositories on two pages; `team/app` has two tags. */
const answerAsRegistry: RequestListener = (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://registry')
  if (pathname === '/v2/') response.end('{}')
  else if (pathname === '/v2/_catalog' && !searchParams.has('last')) {
    response.setHeader('Link', '</v2/_catalog?last=team%2Fapp&n=1>; rel="next"')
    response.end('{"repositories":["team/app"]}')
  } else if (pathname === '/v2/_catalog') response.end('{"repositories":["team/other"]}')
  else if (pathname === '/v2/team/app/tags/list') {
    response.end('{"name":"team/app","tags":["1","latest"]}')
  } else response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}')
}

/** Starts a registry on this computer. */
export async function startFakeRegistry(
  answer: RequestListener = answerAsRegistry,
): Promise<FakeRegistry> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    name: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
