import type { ErrorKind } from '../../../errors.ts'
import { proxyRefused } from '../../../os/proxy.ts'
import { shellQuote } from '../../../os/shell-quote.ts'

/** The context of a request, for messages. */
export interface Concern {
  readonly region?: string | undefined
  readonly profile?: string | undefined
}

/** A group of AWS errors with the same meaning. */
export interface Failure {
  readonly codes: readonly string[]
  readonly kind: ErrorKind
  /** The message. AWS's own message follows. */
  readonly what: (concern: Concern) => string
  /** Whether the message is complete without that of AWS or the SDK. */
  readonly isPlain?: true
  /** The hint. */
  readonly next?: (concern: Concern) => string
}

const signIn = ({ profile }: Concern): string =>
  profile === undefined
    ? 'sign in (aws sso login), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
    : `sign in: aws sso login --profile ${shellQuote(profile)}, or aws configure --profile ${shellQuote(profile)}`
const inRegion = ({ region }: Concern): string => (region === undefined ? '' : ` in ${region}`)
const quota = (): string =>
  'request an increase under Service Quotas in the AWS console, or remove unused resources'

/** EC2 is throttling requests. */
export const busy: Failure = {
  codes: ['RequestLimitExceeded', 'Throttling', 'ThrottlingException', 'EC2ThrottledException'],
  kind: 'failed',
  what: (concern) => `EC2 is throttling the requests of this account${inRegion(concern)}`,
  next: () => 'run the command again in a few minutes',
}

/** An internal error of EC2. */
export const trouble: Failure = {
  codes: [
    'InternalError',
    'InternalFailure',
    'ServiceUnavailable',
    'Unavailable',
    'ServerInternal',
  ],
  kind: 'failed',
  what: (concern) => `EC2 has an internal error${inRegion(concern)}`,
  next: () => 'run the command again in a few minutes',
}

/** EC2 errors that the user can fix (EC2 API reference, "Error codes"). */
export const failures: readonly Failure[] = [
  {
    codes: ['CredentialsProviderError', 'TokenProviderError', 'MissingAuthenticationToken'],
    kind: 'credentials',
    what: () => 'no AWS credentials were found',
    isPlain: true,
    next: signIn,
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
    what: () => 'the AWS credentials have expired',
    next: signIn,
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
    what: (concern) => `AWS does not accept the credentials${inRegion(concern)}`,
    next: ({ region = 'the region' }) =>
      `check them with aws sts get-caller-identity, and that ${region} is enabled for the account`,
  },
  {
    codes: [
      'UnauthorizedOperation',
      'AccessDenied',
      'AccessDeniedException',
      'Client.UnauthorizedOperation',
    ],
    kind: 'credentials',
    what: () => 'AWS does not allow this operation with these credentials',
    next: () => 'docs/drivers/aws.md has the policy that fleet needs',
  },
  {
    codes: ['OptInRequired', 'PendingVerification', 'Blocked', 'AccountDisabledException'],
    kind: 'credentials',
    what: (concern) => `the AWS account cannot be used${inRegion(concern)} yet`,
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
    what: (concern) => `a quota of the AWS account is used up${inRegion(concern)}`,
    next: quota,
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
    what: (concern) =>
      `AWS has no capacity for this instance type${inRegion(concern)} at the moment`,
    next: () => 'try another --type, --zone or --region, or run the command again later',
  },
  {
    codes: ['InvalidInstanceType', 'Unsupported'],
    kind: 'usage',
    what: (concern) => `EC2 does not offer this instance type${inRegion(concern)}`,
    next: () => 'try another --type or --zone',
  },
  {
    codes: ['UnsupportedOperation', 'OperationNotPermitted'],
    kind: 'failed',
    what: () => 'EC2 does not support this operation for the instance',
  },
  {
    codes: ['InvalidAMIID.NotFound', 'InvalidAMIID.Malformed', 'InvalidAMIID.Unavailable'],
    kind: 'usage',
    what: (concern) => `there is no such image${inRegion(concern)}`,
    next: () =>
      'image IDs differ by region: look up the ID in this region, or use --image debian-13',
  },
  {
    codes: ['InvalidSubnetID.NotFound', 'InvalidSubnet', 'InvalidSubnetId.Malformed'],
    kind: 'usage',
    what: (concern) => `there is no such subnet${inRegion(concern)}`,
    next: () => 'aws ec2 describe-subnets lists them',
  },
  {
    codes: [
      'InvalidVpcID.NotFound',
      'InvalidVpcId.Malformed',
      'VPCIdNotSpecified',
      'DefaultVpcDoesNotExist',
    ],
    kind: 'usage',
    what: (concern) => `there is no such VPC${inRegion(concern)}`,
    next: () => 'choose one with --vpc or --subnet',
  },
  {
    codes: [
      'InvalidGroup.NotFound',
      'InvalidGroupId.Malformed',
      'InvalidSecurityGroupID.NotFound',
      'InvalidSecurityGroupID.Malformed',
    ],
    kind: 'usage',
    what: (concern) => `there is no such security group${inRegion(concern)}`,
    next: () => 'aws ec2 describe-security-groups lists them',
  },
  {
    codes: ['InvalidKeyPair.NotFound'],
    kind: 'usage',
    what: (concern) => `there is no such key pair${inRegion(concern)}`,
    next: () => 'omit --key-pair to have fleet create one',
  },
  {
    codes: ['InsufficientFreeAddressesInSubnet'],
    kind: 'failed',
    what: () => 'the subnet has no free addresses',
    next: () => 'choose another one with --subnet',
  },
  {
    codes: [
      'NoSuchEntity', // instance profile
      'InvalidParameterValue',
      'InvalidParameterCombination',
      'InvalidParameter',
      'ValidationError',
    ],
    kind: 'usage',
    what: () => 'EC2 does not accept the options',
    next: () => 'docs/drivers/aws.md explains them',
  },
  busy,
  trouble,
  {
    codes: ['ENOTFOUND'],
    kind: 'unreachable',
    what: (concern) =>
      `the address of EC2${inRegion(concern)} was not found: this computer is offline, or there is no such region`,
    next: () =>
      'check the network; aws ec2 describe-regions lists the regions; if you use a proxy, set HTTPS_PROXY',
  },
  {
    codes: ['EAI_AGAIN', 'ENETUNREACH', 'ENETDOWN'],
    kind: 'unreachable',
    what: (concern) => `EC2 cannot be reached${inRegion(concern)}: this computer is offline`,
    next: () => 'check the network and the name server; if you use a proxy, set HTTPS_PROXY',
  },
  {
    codes: [proxyRefused],
    kind: 'unreachable',
    what: (concern) => `EC2 cannot be reached${inRegion(concern)}`,
    next: () => 'check HTTPS_PROXY and NO_PROXY, and that the proxy allows the connection',
  },
  {
    codes: ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EPIPE', 'ETIMEDOUT', 'TimeoutError'],
    kind: 'unreachable',
    what: (concern) => `EC2 cannot be reached${inRegion(concern)}`,
    next: () => 'check the network; if you use a proxy, set HTTPS_PROXY',
  },
]
