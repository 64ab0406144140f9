import type { ErrorKind } from '../../../errors.ts'
import { proxyRefused } from '../../../os/proxy.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import { awsCommand } from './aws-command.ts'

/** The context of a request, for messages. */
export interface ErrorContext {
  readonly region?: string | undefined
  readonly profile?: string | undefined
}

/** A group of AWS errors with the same meaning. */
export interface Failure {
  readonly codes: readonly string[]
  readonly kind: ErrorKind
  /** The message for the user. AWS's own message is appended to it. */
  readonly message: (context: ErrorContext) => string
  /** Whether the message is shown alone, without the message from AWS or the SDK. */
  readonly isComplete?: true
  /** The next step for the user. */
  readonly hint?: (context: ErrorContext) => string
}

const signIn = ({ profile }: ErrorContext): string =>
  profile === undefined
    ? 'sign in with aws sso login, set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
    : `sign in: aws sso login --profile ${shellQuote(profile)}, or aws configure --profile ${shellQuote(profile)}`
const inRegion = ({ region }: ErrorContext): string => (region === undefined ? '' : ` in ${region}`)
const quota = (): string =>
  'request a quota increase in the AWS console (Service Quotas), or remove unused resources'

/** EC2 is throttling requests. */
export const throttling: Failure = {
  codes: ['RequestLimitExceeded', 'Throttling', 'ThrottlingException', 'EC2ThrottledException'],
  kind: 'failed',
  message: (context) => `EC2 is throttling requests from this account${inRegion(context)}`,
  hint: () => 'run the command again in a few minutes',
}

/** An internal EC2 error. */
export const internalError: Failure = {
  codes: [
    'InternalError',
    'InternalFailure',
    'ServiceUnavailable',
    'Unavailable',
    'ServerInternal',
  ],
  kind: 'failed',
  message: (context) => `EC2${inRegion(context)} returned an internal error`,
  hint: () => 'run the command again in a few minutes',
}

/** EC2 errors that the user can fix (EC2 API reference, "Error codes"). */
export const failures: readonly Failure[] = [
  {
    codes: ['CredentialsProviderError', 'TokenProviderError', 'MissingAuthenticationToken'],
    kind: 'credentials',
    message: () => 'no AWS credentials were found',
    isComplete: true,
    hint: signIn,
  },
  {
    codes: [
      'ExpiredToken',
      'ExpiredTokenException',
      'RequestExpired',
      'UnauthorizedException',
      'UnauthorizedSSOTokenError',
    ],
    kind: 'credentials',
    message: () => 'the AWS credentials have expired',
    hint: signIn,
  },
  {
    codes: [
      'AuthFailure',
      'InvalidClientTokenId',
      'UnrecognizedClientException',
      'SignatureDoesNotMatch',
      'InvalidSignatureException',
      'InvalidAccessKeyId',
    ],
    kind: 'credentials',
    message: (context) => `AWS rejected the credentials${inRegion(context)}`,
    hint: ({ region = 'the region', profile }) =>
      `check the credentials with ${awsCommand('sts get-caller-identity', { profile })}, and check that ${region} is enabled for the account`,
  },
  {
    codes: [
      'UnauthorizedOperation',
      'AccessDenied',
      'AccessDeniedException',
      'Client.UnauthorizedOperation',
    ],
    kind: 'credentials',
    message: () => 'AWS does not allow this operation with these credentials',
    hint: () => "for the required IAM policy, see fleet's documentation: docs/drivers/aws.md",
  },
  {
    codes: ['OptInRequired', 'PendingVerification', 'Blocked', 'AccountDisabledException'],
    kind: 'credentials',
    message: (context) => `the AWS account cannot be used${inRegion(context)}`,
  },
  {
    codes: [
      'VcpuLimitExceeded',
      'InstanceLimitExceeded',
      'MaxSpotInstanceCountExceeded',
      'MaxSpotFleetRequestCountExceeded',
      'VolumeLimitExceeded',
      'MaxIOPSLimitExceeded',
      'AddressLimitExceeded',
      'SecurityGroupLimitExceeded',
      'SecurityGroupsPerInterfaceLimitExceeded',
      'RulesPerSecurityGroupLimitExceeded',
      'ResourceLimitExceeded',
    ],
    kind: 'failed',
    message: (context) => `the AWS account has reached a quota${inRegion(context)}`,
    hint: quota,
  },
  {
    codes: [
      'InsufficientInstanceCapacity',
      'InsufficientHostCapacity',
      'InsufficientCapacity',
      'SpotMaxPriceTooLow',
      'UnfulfillableCapacity',
    ],
    kind: 'failed',
    message: (context) =>
      `AWS has no capacity for this instance type${inRegion(context)} at the moment`,
    hint: () => 'try another --type, --zone or --region, or run the command again later',
  },
  {
    codes: ['InvalidInstanceType', 'Unsupported'],
    kind: 'usage',
    message: (context) => `EC2 does not offer this instance type${inRegion(context)}`,
    hint: () => 'try another --type or --zone',
  },
  {
    codes: ['UnsupportedOperation', 'OperationNotPermitted'],
    kind: 'failed',
    message: () => 'EC2 does not support this operation for this instance',
  },
  {
    codes: ['InvalidAMIID.NotFound', 'InvalidAMIID.Malformed', 'InvalidAMIID.Unavailable'],
    kind: 'usage',
    message: (context) => `there is no such image${inRegion(context)}`,
    hint: () =>
      'image IDs differ by region: look up the ID in this region, or use --image debian-13',
  },
  {
    codes: ['InvalidSubnetID.NotFound', 'InvalidSubnet', 'InvalidSubnetId.Malformed'],
    kind: 'usage',
    message: (context) => `there is no such subnet${inRegion(context)}`,
    hint: (context) => `to list the subnets: ${awsCommand('ec2 describe-subnets', context)}`,
  },
  {
    codes: [
      'InvalidVpcID.NotFound',
      'InvalidVpcId.Malformed',
      'VPCIdNotSpecified',
      'DefaultVpcDoesNotExist',
    ],
    kind: 'usage',
    message: (context) => `there is no such VPC${inRegion(context)}`,
    hint: () => 'choose another --vpc or --subnet',
  },
  {
    codes: [
      'InvalidGroup.NotFound',
      'InvalidGroupId.Malformed',
      'InvalidSecurityGroupID.NotFound',
      'InvalidSecurityGroupID.Malformed',
    ],
    kind: 'usage',
    message: (context) => `there is no such security group${inRegion(context)}`,
    hint: (context) =>
      `to list the security groups: ${awsCommand('ec2 describe-security-groups', context)}`,
  },
  {
    codes: ['InvalidKeyPair.NotFound'],
    kind: 'usage',
    message: (context) => `there is no such key pair${inRegion(context)}`,
    hint: () => 'omit --key-pair to let fleet create a key pair',
  },
  {
    codes: ['InsufficientFreeAddressesInSubnet'],
    kind: 'failed',
    message: () => 'the subnet has no free addresses',
    hint: () => 'choose another --subnet',
  },
  {
    codes: [
      'NoSuchEntity', // no such instance profile
      'InvalidParameterValue',
      'InvalidParameterCombination',
      'InvalidParameter',
      'ValidationError',
    ],
    kind: 'usage',
    message: () => 'EC2 rejected the options',
    hint: () => 'to list the options: fleet create --driver aws --help',
  },
  throttling,
  internalError,
  {
    codes: ['ENOTFOUND'],
    kind: 'unreachable',
    message: (context) =>
      `could not resolve the EC2 host name${inRegion(context)}: this computer is offline, or there is no such region`,
    hint: ({ profile }) =>
      `check the network, and check the region with ${awsCommand('ec2 describe-regions --all-regions', { region: 'us-east-1', profile })}; if you use a proxy, set HTTPS_PROXY`,
  },
  {
    codes: ['EAI_AGAIN', 'ENETUNREACH', 'ENETDOWN'],
    kind: 'unreachable',
    message: (context) => `EC2${inRegion(context)} cannot be reached: this computer is offline`,
    hint: () => 'check the network and DNS; if you use a proxy, set HTTPS_PROXY',
  },
  {
    codes: [proxyRefused],
    kind: 'unreachable',
    message: (context) => `EC2${inRegion(context)} cannot be reached`,
    hint: () => 'check HTTPS_PROXY and NO_PROXY, and check that the proxy allows the connection',
  },
  {
    codes: ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EPIPE', 'ETIMEDOUT', 'TimeoutError'],
    kind: 'unreachable',
    message: (context) => `EC2${inRegion(context)} cannot be reached`,
    hint: () => 'check the network; if you use a proxy, set HTTPS_PROXY',
  },
]
