import { shellQuote } from '../../../os/shell-quote.ts'
import type { ErrorContext } from './error-codes.ts'

/** Returns an AWS CLI command line for the account and region that fleet uses. */
export const awsCommand = (words: string, { region, profile }: ErrorContext): string =>
  [
    `aws ${words}`,
    ...(region === undefined ? [] : [`--region ${shellQuote(region)}`]),
    ...(profile === undefined ? [] : [`--profile ${shellQuote(profile)}`]),
  ].join(' ')
