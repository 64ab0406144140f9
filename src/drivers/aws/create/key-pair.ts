import {
  DeleteKeyPairCommand,
  DescribeKeyPairsCommand,
  ImportKeyPairCommand,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import { retry } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { awsCommand } from '../api/aws-command.ts'
import { isFailure } from '../api/errors.ts'
import { tagAll, tagOf } from '../tags.ts'
import { shellQuote } from '../../../os/shell-quote.ts'

/** The key pair to create for a host. */
export interface KeyPairSpec {
  readonly name: string
  readonly publicKey: string
  readonly token: string
  readonly tags: Readonly<Record<string, string>>
}

const importKey = (ec2: Ec2, { name, publicKey, tags }: KeyPairSpec) =>
  ec2.send(
    new ImportKeyPairCommand({
      KeyName: name,
      PublicKeyMaterial: new TextEncoder().encode(publicKey),
      TagSpecifications: tagAll(tags, 'key-pair'),
    }),
  )

/** Compares two public keys without their comments. */
const isSameKey = (a: string, b: string): boolean => a.split(' ')[1] === b.split(' ')[1]

/**
 * Imports the login key as a host's key pair, unless an earlier attempt already did. A key pair with an older key is
 * replaced.
 */
export async function ensureKeyPair(ec2: Ec2, wanted: KeyPairSpec): Promise<void> {
  try {
    await importKey(ec2, wanted)
    return
  } catch (error) {
    if (!isFailure('InvalidKeyPair.Duplicate')(error)) throw error
  }
  const ask = new DescribeKeyPairsCommand({ KeyNames: [wanted.name], IncludePublicKey: true })
  const isNotVisible = isFailure('InvalidKeyPair.NotFound') // the name is taken, so it exists but is not visible yet
  const { KeyPairs: [found] = [] } = await retry(ec2.call, isNotVisible, () => ec2.send(ask))
  if (tagOf(found?.Tags, 'fleet:token') !== wanted.token) {
    throw new UserError(
      'failed',
      `key pair ${wanted.name} already exists and was not created by fleet`,
      {
        hint: `delete the key pair: ${awsCommand(`ec2 delete-key-pair --key-name ${shellQuote(wanted.name)}`, ec2)}`,
      },
    )
  }
  if (isSameKey(found?.PublicKey ?? '', wanted.publicKey)) return
  await ec2.send(new DeleteKeyPairCommand({ KeyName: wanted.name }))
  await importKey(ec2, wanted)
}

/** Checks that the user's own key pair exists. Throws EC2's error if it does not exist. */
export async function checkKeyPair(ec2: Ec2, name: string): Promise<void> {
  await ec2.sendCached(new DescribeKeyPairsCommand({ KeyNames: [name] }))
}
