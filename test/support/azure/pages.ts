import type { Answer, Request } from './exchange.ts'

/** Returns a response with one page of a list; `nextLink` is the URL of the next page. */
export function page(request: Request, all: readonly unknown[], size: number): Answer {
  const from = Number(request.query.get('$skiptoken') ?? 0)
  const value = all.slice(from, from + size)
  if (from + size >= all.length) return { status: 200, body: { value } }
  const query = new URLSearchParams(request.query)
  query.set('$skiptoken', String(from + size))
  const nextLink = `https://${request.host}${request.path}?${query.toString()}`
  return { status: 200, body: { value, nextLink } }
}
