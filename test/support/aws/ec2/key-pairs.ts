import { createHash } from 'node:crypto'
import type { Account, Ec2Call, Handler } from './account.ts'
import { Ec2Error } from '../http/ec2-error.ts'
import { filtersOf, listParameter } from '../http/query.ts'
import { type Tree, itemsOf, listOf, textOf } from '../http/xml.ts'

/** EC2's fingerprint of an Ed25519 key: base64 of the SHA-256 of its blob. */
const fingerprint = (publicKey: string): string =>
  createHash('sha256')
    .update(publicKey.split(' ')[1] ?? '', 'base64')
    .digest('base64')

/** Corrects moto's description of a key pair. */
function show(
  { publicKeys }: Account,
  tree: Tree,
  { region, parameters }: Ec2Call,
  extra = false,
): void {
  const publicKey = publicKeys.get(`${region}/${textOf(tree, 'keyName') ?? ''}`)
  const isEd25519 = publicKey?.startsWith('ssh-ed25519 ')
  if (publicKey !== undefined && isEd25519) tree['keyFingerprint'] = fingerprint(publicKey)
  if (!extra) return
  tree['keyType'] = isEd25519 ? 'ed25519' : 'rsa'
  if (parameters['IncludePublicKey'] === 'true' && publicKey) tree['publicKey'] = publicKey
}

const importKeyPair: Handler = async (account, call) => {
  const { moto, publicKeys, hidden, settings } = account
  const answer = await moto.ec2(call.region, call.parameters)
  const name = textOf(answer, 'keyName') ?? ''
  const material = Buffer.from(call.parameters['PublicKeyMaterial'] ?? '', 'base64')
  publicKeys.set(`${call.region}/${name}`, material.toString('utf8').trim())
  for (const id of [name, textOf(answer, 'keyPairId') ?? ''])
    hidden.hide('key', id, settings().lags.hidden)
  show(account, answer, call)
  return answer
}

/** Resolves to all key pairs of a region. moto supports neither key pair IDs nor filters for key pairs. */
async function list({ moto, hidden }: Account, region: string): Promise<Tree[]> {
  const answer = await moto.ec2(region, { Action: 'DescribeKeyPairs' })
  return itemsOf(answer, 'keySet').filter((tree) => !hidden.has(textOf(tree, 'keyName')))
}

const filters: Readonly<Record<string, string>> = {
  'key-pair-id': 'keyPairId',
  'key-name': 'keyName',
  fingerprint: 'keyFingerprint',
}

function admits(tree: Tree, name: string, values: readonly string[]): boolean {
  const property = filters[name]
  if (property !== undefined) return values.includes(textOf(tree, property) ?? '')
  const tags = itemsOf(tree, 'tagSet')
  const key = name.startsWith('tag:') ? name.slice('tag:'.length) : undefined
  if (key === undefined && name !== 'tag-key')
    throw new Ec2Error('InvalidParameterValue', `The filter '${name}' is invalid`)
  return tags.some((tag) =>
    key === undefined
      ? values.includes(textOf(tag, 'key') ?? '')
      : tag['key'] === key && values.includes(textOf(tag, 'value') ?? ''),
  )
}

const describeKeyPairs: Handler = async (account, call) => {
  const all = await list(account, call.region)
  for (const tree of all) show(account, tree, call, true)
  const names = listParameter(call.parameters, 'KeyName')
  const ids = listParameter(call.parameters, 'KeyPairId')
  for (const wanted of names)
    if (!all.some((tree) => tree['keyName'] === wanted))
      throw new Ec2Error('InvalidKeyPair.NotFound', `The key pair '${wanted}' does not exist`)
  for (const wanted of ids)
    if (!all.some((tree) => tree['keyPairId'] === wanted))
      throw new Ec2Error('InvalidKeyPair.NotFound', `The key pair '${wanted}' does not exist`)
  const meant = all.filter(
    (tree) =>
      (names.length === 0 || names.includes(textOf(tree, 'keyName') ?? '')) &&
      (ids.length === 0 || ids.includes(textOf(tree, 'keyPairId') ?? '')) &&
      [...filtersOf(call.parameters)].every(([name, values]) => admits(tree, name, values)),
  )
  return { keySet: listOf(meant) }
}

/** Deletes a key pair by name or ID. A missing key pair is not an error. */
const deleteKeyPair: Handler = async (account, { region, parameters }) => {
  if (parameters['DryRun'] === 'true') throw new Ec2Error('DryRunOperation')
  const { KeyName: name, KeyPairId: id } = parameters
  const found = (await list(account, region)).find(
    (tree) => tree['keyName'] === name || tree['keyPairId'] === id,
  )
  const its = textOf(found, 'keyName')
  if (its !== undefined) {
    await account.moto.ec2(region, { Action: 'DeleteKeyPair', KeyName: its })
    account.publicKeys.delete(`${region}/${its}`)
  }
  return { return: 'true', ...(found && { keyPairId: found['keyPairId'] }) }
}

/** Handlers of calls for key pairs. */
export const keyPairHandlers: Readonly<Record<string, Handler>> = {
  ImportKeyPair: importKeyPair,
  DescribeKeyPairs: describeKeyPairs,
  DeleteKeyPair: deleteKeyPair,
}
