import type { Account } from './account.ts'
import type { Tree } from '../http/xml.ts'

const isAddress = (text: string) => /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)
const isHostName = (text: string) => /^(?:ec2|ip)-\d+-\d+-\d+-\d+\./.test(text)

/** Returns every address that a host of this account uses, or may use. */
function addressesOf({ instances, elastic }: Account): Set<string> {
  const own = [...instances.values()].flatMap(({ plan, address }) => [
    plan.host.privateAddress,
    ...(address === undefined ? [] : [address]),
  ])
  return new Set([...own, ...elastic.values()])
}

function remove(tree: Tree, known: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(tree)) {
    if (Array.isArray(value)) {
      for (const item of value) if (typeof item === 'object') remove(item, known)
    } else if (typeof value === 'object') remove(value, known)
    else if (value !== undefined && (isHostName(value) || (isAddress(value) && !known.has(value))))
      delete tree[name]
  }
}

/**
 * Removes every address that moto generated, because it might be a real one. Network ranges (`172.31.0.0/16`) are kept.
 */
export const removeMadeUpAddresses = (account: Account, tree: Tree): void =>
  remove(tree, addressesOf(account))
