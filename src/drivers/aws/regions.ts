import { DescribeRegionsCommand } from '@aws-sdk/client-ec2'
import { UserError } from '../../errors.ts'
import { suggest } from '../../machine/nearest-name.ts'
import type { Call } from '../driver.ts'
import type { Account, Ec2Api } from './api/ec2-api.ts'
import { awsCommand } from './api/aws-command.ts'
import { isFailure, isServerError } from './api/errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { ignored } from '../../os/trace.ts'

/** A region that is enabled in every account, used to list the other regions. */
export const fallbackRegion = 'us-east-1'

/** Error codes for a region that does not exist or is not enabled. */
const wrongRegionCodes = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'AuthFailure',
  'OptInRequired',
  'UnrecognizedClientException',
]

const mayBeWrongRegion = (error: unknown): boolean =>
  isFailure(...wrongRegionCodes)(error) || isServerError(error)

/**
 * If a wrong region may have caused the error, checks the account's regions and returns an error that explains the
 * problem. Otherwise returns `error`.
 */
export async function explainRegionError(
  api: Ec2Api,
  { region, profile }: Account,
  error: unknown,
  call: Call,
): Promise<unknown> {
  if (region === fallbackRegion || !mayBeWrongRegion(error)) return error
  const ask = new DescribeRegionsCommand({ AllRegions: true })
  const { Regions = [] } = await api
    .at({ region: fallbackRegion, profile }, call)
    .sendCached(ask)
    .catch(ignored('aws', 'list the regions', { Regions: [] }))
  if (Regions.length === 0) return error
  const names = Regions.flatMap(({ RegionName }) => RegionName ?? [])
  const found = Regions.find(({ RegionName }) => RegionName === region)
  if (found === undefined) {
    const text = `there is no AWS region ${JSON.stringify(region)}${suggest(region, names)}`
    return new UserError('usage', text, {
      hint: `to list the regions: ${awsCommand('ec2 describe-regions --all-regions', { region: fallbackRegion, profile })}`,
      cause: error,
    })
  }
  if (found.OptInStatus !== 'not-opted-in') return error
  return new UserError('credentials', `AWS region ${region} is not enabled for the account`, {
    hint: `enable the region: ${awsCommand(`account enable-region --region-name ${shellQuote(region)}`, { profile })}`,
    cause: error,
  })
}
