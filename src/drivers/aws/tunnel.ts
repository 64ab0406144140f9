import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Tunnel } from '../driver.ts'
import { awsCommand } from './api/aws-command.ts'
import type { ErrorContext } from './api/error-codes.ts'
import { type reachNames, profilePattern, regionPattern } from './options.ts'

/** How SSH reaches a host: a value of the option `reach`. */
type Reach = (typeof reachNames)[number]

const install = {
  aws: 'install the AWS CLI, version 2: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html',
  plugin:
    'install the Session Manager plugin for the AWS CLI: https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html',
}

/** The programs required for connections to a host, and how to install them, for each value of `reach`. */
export const neededPrograms: Readonly<
  Record<Exclude<Reach, 'direct'>, readonly (readonly [program: string, install: string])[]>
> = {
  ssm: [
    ['aws', install.aws],
    ['session-manager-plugin', install.plugin],
  ],
  eice: [['aws', install.aws]],
}

const login = 'sign in with aws sso login, or check the credentials in your environment or profile'

/** Hints for AWS CLI messages that can occur with both kinds of tunnels. */
const commonHints: Tunnel['hints'] = [
  { text: 'Unable to locate credentials', hint: login, isPermanent: true },
  { text: 'ExpiredToken', hint: login, isPermanent: true },
  { text: 'UnrecognizedClientException', hint: login, isPermanent: true },
  { text: 'InvalidClientTokenId', hint: login, isPermanent: true },
  { text: 'Error loading SSO Token', hint: login, isPermanent: true },
  { text: 'Token has expired', hint: login, isPermanent: true },
  {
    text: 'could not be found',
    hint: "check the profile in the machine's entry; to list the profiles: aws configure list-profiles",
    isPermanent: true,
  },
  {
    text: 'argument command: Invalid choice',
    hint: `the AWS CLI is too old; ${install.aws}`,
    isPermanent: true,
  },
  {
    text: 'argument operation: Invalid choice',
    hint: `the AWS CLI is too old; ${install.aws}`,
    isPermanent: true,
  },
]

const ssmHints = (instance: string, context: ErrorContext): Tunnel['hints'] => [
  { text: 'SessionManagerPlugin is not found', hint: install.plugin, isPermanent: true },
  {
    text: 'TargetNotConnected',
    hint: 'the host is not registered with Systems Manager: it must be running and have the SSM agent, an instance profile with AmazonSSMManagedInstanceCore, and a route to Systems Manager (NAT or VPC endpoints)',
  },
  {
    text: 'AccessDenied',
    hint: 'you need the ssm:StartSession permission for the instance and for the AWS-StartSSHSession document, and the ssm:TerminateSession permission',
    isPermanent: true,
  },
  {
    text: '',
    hint: `check that the host is online in Systems Manager: ${awsCommand(`ssm describe-instance-information --filters Key=InstanceIds,Values=${instance}`, context)}`,
  },
]

const eiceHints = (context: ErrorContext): Tunnel['hints'] => [
  {
    text: 'no available instance connect endpoints',
    hint: `create an EC2 Instance Connect Endpoint in the host's VPC: ${awsCommand('ec2 create-instance-connect-endpoint --subnet-id SUBNET', context)}`,
    isPermanent: true,
  },
  {
    text: 'UnauthorizedOperation',
    hint: 'you need the ec2:DescribeInstances and ec2:DescribeInstanceConnectEndpoints permissions',
    isPermanent: true,
  },
  {
    text: 'AccessDenied',
    hint: 'you need the ec2-instance-connect:OpenTunnel permission for the endpoint',
    isPermanent: true,
  },
  {
    text: '',
    hint: "check that the host's security groups allow SSH from the endpoint, and that the endpoint's security groups allow SSH to the host; you need the ec2-instance-connect:OpenTunnel permission",
  },
]

const invalid = (what: string, value: string): UserError =>
  new UserError(
    'inventory',
    `invalid ${what} under "host:" in the inventory: ${JSON.stringify(value)}`,
    {
      hint: 'check who last changed the inventory: git log -p machines.yaml',
    },
  )

/** Checks a value from the record that becomes an argument of the AWS CLI. Throws kind `inventory`. */
function checked(what: string, value: string, pattern: RegExp): string {
  if (pattern.test(value)) return value
  throw invalid(what, value)
}

/**
 * Returns the program that tunnels connections to an instance, identified by its ID (AWS CLI reference,
 * `ec2-instance-connect open-tunnel` and `ssm start-session`); `undefined` if fleet connects directly to the instance's
 * address. Throws kind `inventory` for a record that fleet did not write.
 */
export function openTunnel({ id = '', port = 22, resources = {} }: HostRecord): Tunnel | undefined {
  const { reach = 'direct', region = '', profile } = resources
  if (reach === 'direct') return undefined
  const instance = checked('instance ID', id, /^i-[0-9a-f]{8,17}$/)
  const account = [
    `--region=${checked('AWS region', region, regionPattern)}`,
    ...(profile === undefined
      ? []
      : [`--profile=${checked('AWS profile', profile, profilePattern)}`]),
  ]
  if (reach === 'ssm') {
    const session = ['--document-name=AWS-StartSSHSession', `--parameters=portNumber=${port}`]
    return {
      argv: ['aws', 'ssm', 'start-session', `--target=${instance}`, ...session, ...account],
      install: install.aws,
      hints: [...commonHints, ...ssmHints(instance, { region, profile })],
    }
  }
  if (reach === 'eice') {
    const target = [`--instance-id=${instance}`, `--remote-port=${port}`]
    return {
      argv: ['aws', 'ec2-instance-connect', 'open-tunnel', ...target, ...account],
      install: install.aws,
      hints: [...commonHints, ...eiceHints({ region, profile })],
    }
  }
  throw invalid('"reach"', reach)
}
