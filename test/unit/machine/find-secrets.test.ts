import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { findSecrets } from '../../../src/machine/secrets/find-secrets.ts'

/** Number of blocks that `randomBytes` has drawn. Its pseudorandom bytes are the same in each run. */
let drawn = 0
function randomBytes(length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, () =>
    createHash('sha256').update(`${drawn++}`).digest(),
  )
  return Buffer.concat(blocks).subarray(0, length)
}
const randomUUID = (): string =>
  randomBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const alphabets = {
  alnum: `${letters}0123456789`,
  upper: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
  lower: 'abcdefghijklmnopqrstuvwxyz0123456789',
  letters,
  hex: '0123456789abcdef',
  base64: `${letters}0123456789+/`,
}
const some = (length: number, of: keyof typeof alphabets = 'alnum'): string =>
  Array.from(randomBytes(length), (byte) => alphabets[of][byte % alphabets[of].length]).join('')
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const pem = (kind: string): string =>
  `-----BEGIN ${kind}-----\n${some(64, 'base64')}\n${some(64, 'base64')}\n-----END ${kind}-----\n`

/** Secrets built at run time, so that secret scanners do not report this file. */
const secrets: readonly (readonly [what: string, make: () => string])[] = [
  ['OpenSSH key', () => pem('OPENSSH PRIVATE KEY')],
  ['RSA key', () => pem('RSA PRIVATE KEY')],
  ['PKCS#8 key', () => pem('ENCRYPTED PRIVATE KEY')],
  ['PGP key', () => pem('PGP PRIVATE KEY BLOCK')],
  ['SSH2 key', () => '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----'],
  ['PuTTY key', () => 'PuTTY-User-Key-File-3: ssh-ed25519'],
  ['age key', () => `AGE-SECRET-KEY-1${some(58, 'upper')}`],
  ['AWS access key', () => `AKIA${some(16, 'upper')}`],
  ['AWS temporary access key', () => `ASIA${some(16, 'upper')}`],
  ['AWS secret key without a name', () => 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
  ['AWS secret key with its name', () => `aws_secret_access_key = ${some(40, 'base64')}`],
  ['AWS secret key with its name in camelCase', () => `secretAccessKey: ${some(40, 'base64')}`],
  ['AWS session token', () => `IQoJb3JpZ2luX2VjE${some(120)}`],
  ['Azure client secret', () => `${some(3)}8Q~${some(34)}`],
  ['Azure storage key', () => `AccountKey=${some(86)}==`],
  [
    'Azure shared access signature',
    () => `https://x.blob.core.windows.net/c?sv=2022-11-02&sig=${some(43)}%3D`,
  ],
  ['Azure Service Bus key', () => `Endpoint=sb://x/;SharedAccessKey=${some(43)}=`],
  ['GitHub token', () => `ghp_${some(36)}`],
  ['GitHub fine-grained token', () => `github_pat_${some(22)}_${some(59)}`],
  ['GitLab token', () => `glpat-${some(20)}`],
  ['GitLab runner token', () => `glrt-${some(20)}`],
  ['Slack token', () => `xoxb-${some(12, 'hex')}-${some(24)}`],
  [
    'Slack webhook',
    () =>
      `https://hooks.slack.com/services/T0${some(8, 'upper')}/B0${some(8, 'upper')}/${some(24)}`,
  ],
  ['Discord webhook', () => `https://discord.com/api/webhooks/123456789012345678/${some(68)}`],
  ['Stripe key', () => `sk_live_${some(24)}`],
  ['OpenAI key', () => `sk-proj-${some(48)}`],
  ['Anthropic key', () => `sk-ant-api03-${some(93)}AA`],
  ['SendGrid key', () => `SG.${some(22)}.${some(43)}`],
  ['Google API key', () => `AIza${some(35)}`],
  ['Google OAuth secret', () => `GOCSPX-${some(28)}`],
  ['Docker Hub token', () => `dckr_pat_${some(27)}`],
  ['npm token', () => `npm_${some(36)}`],
  ['PyPI token', () => `pypi-AgEIcHlwaS5vcmc${some(60)}`],
  ['RubyGems key', () => `rubygems_${some(48, 'hex')}`],
  ['DigitalOcean token', () => `dop_v1_${some(64, 'hex')}`],
  ['64 hexadecimal digits', () => randomBytes(32).toString('hex')],
  ['Hetzner token', () => some(64)],
  ['Vault token', () => `hvs.${some(95)}`],
  ['Tailscale key', () => `tskey-auth-${some(20)}-${some(30)}`],
  [
    'JSON Web Token',
    () =>
      `${base64('{"alg":"HS256"}').replace(/=+$/, '')}.${base64('{"sub":"12345"}').replace(/=+$/, '')}.${some(43)}`,
  ],
  ['Telegram bot token', () => `123456789:AA${some(33)}`],
  ['Twilio key', () => `SK${some(32, 'hex')}`],
  ['Mailgun key', () => `key-${some(32, 'hex')}`],
  ['Mailchimp key', () => `${some(32, 'hex')}-us12`],
  ['Shopify token', () => `shpat_${some(32, 'hex')}`],
  ['Grafana token', () => `glsa_${some(32)}_${some(8, 'hex')}`],
  ['New Relic key', () => `NRAK-${some(27, 'upper')}`],
  ['Hugging Face token', () => `hf_${some(34, 'letters')}`],
  ['Databricks token', () => `dapi${some(32, 'hex')}`],
  ['Terraform Cloud token', () => `${some(14)}.atlasv1.${some(64)}`],
  ['Atlassian token', () => `ATATT3xFfGF0${some(120)}`],
  ['Cloudflare origin key', () => `v1.0-${some(24, 'hex')}-${some(146, 'hex')}`],
  ['Linear key', () => `lin_api_${some(40)}`],
  ['Doppler token', () => `dp.pt.${some(43)}`],
  ['Pulumi token', () => `pul-${some(40, 'hex')}`],
  ['Sentry token', () => `sntryu_${some(64, 'hex')}`],
  ['Supabase key', () => `sbp_${some(40, 'hex')}`],
  ['password', () => 'password=correct-horse-battery'],
  ['database password', () => 'DB_PASSWORD: hunter2hunter2'],
  ['password in quotes', () => `db_pass: "p@ss, w0rd"`],
  ['password in a command-line option', () => 'mysql --password Tr0ub4dor3'],
  ['UUID in a variable for an API key', () => `HEROKU_API_KEY=${randomUUID()}`],
  ['hexadecimal API key with its name', () => `api-key: ${some(32, 'hex')}`],
  ['hexadecimal key in a variable for a key', () => `DATADOG_APP_KEY=${some(40, 'hex')}`],
  ['client secret with its name', () => `client_secret: ${some(24)}`],
  ['token in a variable for a token', () => `export CF_TOKEN="${some(40)}"`],
  ['token in JSON in a string', () => `{\\"auth_token\\":\\"${some(30)}\\"}`],
  [
    'WireGuard key',
    () => `PrivateKey = ${base64(randomBytes(32).toString('latin1')).slice(0, 43)}=`,
  ],
  ['Rails secret key', () => `SECRET_KEY_BASE=${some(128, 'hex')}`],
  ['bearer token in a header', () => `Authorization: Bearer ${some(40)}`],
  ['basic authentication in a header', () => `Authorization: Basic ${base64('ana:geheim99')}`],
  ['password in a curl command', () => 'curl -fsSL -u ana:geheim99 https://example.com/x'],
  ['password in a URL', () => 'postgres://app:geheim99@db/app'],
  ['password in a URL without a user', () => 'redis://:geheim99@cache:6379'],
  [
    'password in a Docker configuration',
    () => `{"auths":{"r.io":{"auth":"${base64('user:password123')}"}}}`,
  ],
  ['token in .npmrc', () => `//registry.npmjs.org/:_authToken=${some(36)}`],
  ['password in .netrc', () => 'machine example.com login ana password geheim99'],
  ['PEM key in base64', () => base64('-----BEGIN OPENSSH PRIVATE KEY-----\n')],
  [
    'PEM key in base64 on several lines',
    () => base64(pem('RSA PRIVATE KEY')).replaceAll(/.{40}/g, '$&\n      '),
  ],
  ['token in base64', () => base64(`GITHUB_TOKEN=ghp_${some(36)}\n`)],
  ['token encoded twice in base64', () => base64(base64(`GITHUB_TOKEN=ghp_${some(36)}\n`))],
  ['token after an escape sequence', () => `"line\\nghp_${some(36)}"`],
]

describe('findSecrets', () => {
  test.each(secrets)('finds a secret: %s', (_what, make) => {
    for (const text of [make(), `    note: '${make()}'\n`, `# ${make()}`]) {
      expect(findSecrets(text)).not.toEqual([])
    }
  })

  test('returns the offset of the secret, once per line', () => {
    const text = `a: b\nc: "x" # \nexport GITHUB_TOKEN=ghp_${some(36)}\n`
    expect(findSecrets(text)).toEqual([{ offset: text.indexOf('ghp_'), kind: 'a GitHub token' }])
  })
})

const pick = <Value>(values: readonly Value[]): Value =>
  values[randomBytes(4).readUInt32BE() % values.length] as Value
const sshKey = (): string => {
  const type = Buffer.from('ssh-ed25519')
  const length = Buffer.from([0, 0, 0, 11])
  const blob = Buffer.concat([length, type, Buffer.from([0, 0, 0, 32]), randomBytes(32)])
  return `ssh-ed25519 ${blob.toString('base64')}`
}
const fingerprint = (): string => `SHA256:${randomBytes(32).toString('base64').slice(0, 43)}`
const guid = randomUUID

/** Lines of typical labels and options that contain no secrets. */
const labels: readonly (() => string)[] = [
  () => `commit: ${randomBytes(20).toString('hex')}`,
  () => `image: registry.example.com/app@sha256:${randomBytes(32).toString('hex')}`,
  () => `digest: ${randomBytes(32).toString('hex')}`,
  () => `etag: ${randomBytes(16).toString('hex')}`,
  () => `integrity: sha512-${randomBytes(64).toString('base64')}`,
  () => `run: "${guid()}"`,
  () => `role: ${pick(['web', 'db', 'token-service', 'password-manager', 'secret-store'])}`,
  () => `team: PlatformEngineeringAndOperationsTeamEurope2`,
  () => `password-policy: strict`,
  () => `secret: web-tls-2024`,
  () => `token-ttl: 3600s`,
  () => `auth: oidc`,
  () => `key: ${pick(['primary', 'web-2024', 'blue'])}`,
  () => `passwordless: "true"`,
  () => `vault-path: secret/data/web`,
  () => `api-key: vault:secret/data/web#key`,
  () => `password: \${DB_PASSWORD}`,
  () => `note: "the password: see the vault"`,
  () => `owner: ana.garcia@example.com`,
  () => `docs: https://wiki.example.com/x/${randomBytes(20).toString('hex')}`,
  () => `build: 2024-05-12T10:11:12Z-${randomBytes(4).toString('hex')}`,
  () => `container: ${randomBytes(32).toString('hex')}`,
]
const machines: readonly (() => string)[] = [
  () => `driver: ssh
    options: { address: 203.0.113.${pick([7, 8, 9])}, user: ana }
    host:
      phase: ready
      address: 203.0.113.7
      user: ana
      hostKeys: ['${sshKey()}', 'ssh-rsa ${Buffer.concat([Buffer.from('\0\0\0\x07ssh-rsa'), randomBytes(269)]).toString('base64')}']
      key: ${fingerprint()}
      created: 2024-05-12T10:11:12.123Z`,
  () => `driver: aws
    options: { image: ami-0${randomBytes(8).toString('hex')}, keyPair: ops-2024, instanceProfile: 'arn:aws:iam::123456789012:instance-profile/web', securityGroups: sg-0${randomBytes(8).toString('hex')} }
    host:
      phase: ready
      token: ${guid()}
      id: i-0${randomBytes(8).toString('hex')}
      hostKeys: ['${sshKey()}']
      key: ${fingerprint()}
      resources: { securityGroup: sg-0${randomBytes(8).toString('hex')}, keyPair: key-0${randomBytes(8).toString('hex')} }`,
  () => `driver: azure
    options: { location: westeurope, subscription: ${guid()}, tenant: ${guid()}, subnet: /subscriptions/${guid()}/resourceGroups/Net-Prod/providers/Microsoft.Network/virtualNetworks/Main/subnets/Default }
    host: { phase: ready, token: ${guid()}, id: /subscriptions/${guid()}/resourceGroups/fleet-web-${randomBytes(4).toString('hex')}/providers/Microsoft.Compute/virtualMachines/web-1 }`,
  () => `driver: qemu
    userData: cloud/web.yaml
    options: { image: 'https://images.example.com/debian.qcow2#sha256=${randomBytes(32).toString('hex')}', sshPort: 2222 }
    host: { phase: ready, token: ${guid()}, id: ${createHash('sha256').update(guid()).digest('hex').slice(0, 16)}, resources: { computer: ${randomBytes(32).toString('hex').slice(0, 32)} } }`,
]

const inventory = (): string => `version: 1
id: ${randomBytes(4).toString('hex')}
operators:
  ana: ${sshKey()} ana@laptop
  ben: { key: '${sshKey()} ben@desk', on: [role=web] }
machines:
${Array.from(
  { length: 8 },
  (_, index) => `  web-${index}: # ${fingerprint()}
    labels: { ${Array.from(new Map(Array.from({ length: 4 }, () => pick(labels)()).map((line) => [line.split(':')[0], line])).values()).join(', ')} }
    ${pick(machines)()}
`,
).join('')}`

const userData = (): string => `#cloud-config
users:
  - name: ana
    lock_passwd: true
    passwd: "*"
    ssh_authorized_keys:
      - ${sshKey()} ana@laptop
ssh_pwauth: false
chpasswd: { expire: false }
apt:
  sources:
    docker:
      source: "deb [signed-by=$KEY_FILE] https://download.docker.com/linux/debian $RELEASE stable"
      keyid: ${randomBytes(20).toString('hex').toUpperCase()}
      key: |
        -----BEGIN PGP PUBLIC KEY BLOCK-----

        ${randomBytes(480).toString('base64').replaceAll(/.{64}/g, '$&\n        ')}
        =${some(4)}
        -----END PGP PUBLIC KEY BLOCK-----
ca_certs:
  trusted:
    - |
      -----BEGIN CERTIFICATE-----
      ${randomBytes(600).toString('base64').replaceAll(/.{64}/g, '$&\n      ')}
      -----END CERTIFICATE-----
write_files:
  - path: /etc/motd
    encoding: b64
    content: ${base64('Welcome to this host.\nPlease be kind to it; the password is in the vault.\n')}
  - path: /usr/local/bin/x
    encoding: gz+b64
    content: ${randomBytes(300).toString('base64')}
runcmd:
  - curl -fsSL https://example.com/x.tgz -o x.tgz && echo "${randomBytes(32).toString('hex')}  x.tgz" | sha256sum -c
  - token=$(curl -X PUT http://169.254.169.254/latest/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 60")
  - curl -H "Authorization: Bearer $TOKEN" https://example.com
  - export API_KEY="$(cat /run/secrets/api_key)" PASSWORD_FILE=/run/secrets/password
  - docker login -u ana --password-stdin < /run/secrets/registry
  - git checkout ${randomBytes(20).toString('hex')}
`

describe('text that resembles a secret', () => {
  test('is not reported in 200 inventories and their user-data', () => {
    for (let count = 0; count < 200; count++) {
      for (const text of [inventory(), userData()]) {
        const found = findSecrets(text)
        const lines = found.map(
          ({ offset, kind }) => `${kind}: ${text.slice(offset, text.indexOf('\n', offset))}`,
        )
        expect(lines).toEqual([])
      }
    }
  })
})

/** Returns the CPU time of a search, in microseconds. */
const time = (text: string): number => {
  const start = process.cpuUsage().user
  findSecrets(text)
  return process.cpuUsage().user - start
}

describe('text designed to make the search slow', () => {
  const size = 200_000
  const repeated = (part: string): string =>
    part.repeat(Math.ceil(size / part.length)).slice(0, size)
  const hostile = [
    ...[
      'a',
      'A1',
      ' ',
      '\n',
      '-----BEGIN ',
      '-----BEGIN CERTIFICATE-----\n',
      '://a:',
      'a://',
      'eyJaaaaaaaaaaa.',
      'eyJ-',
      'xoxb-',
      'token ',
      'token=',
      'password: ',
      '--password ',
      'ssh-rsa AAAA',
      'curl ',
      'curl -u ',
      'AAAAAAAAAAAAAAAA\n',
      'sha256:',
      'key',
      'pat',
      '.',
      '1-us',
      '"\\"',
      ' login a ',
    ],
  ]
  test.each(hostile)('takes linear time for repeated %j', (part) => {
    const text = repeated(part)
    time(text)
    const [half, whole] = [time(text.slice(0, size / 2)), time(text)]
    expect(whole).toBeLessThan(4 * half + 300_000)
  })

  test('takes linear time for one long word that does not end in base64', () => {
    const [half, whole] = [size / 2, size].map((length) => time(`${'a'.repeat(length)}~`))
    expect(whole).toBeLessThan(4 * (half ?? 0) + 300_000)
  })

  test('can be a line of several megabytes', () => {
    expect(findSecrets('a'.repeat(8 * 2 ** 20))).toEqual([])
  })
})
