/* oxlint-disable unicorn/no-process-exit -- a standalone program */
// A stand-in for the AWS CLI, version 2: the two commands that tunnel SSH, with the arguments that they accept, and the
// exit codes and messages of the real CLI. The file `mode` in the same directory sets how it fails.
import { spawnSync, spawn } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'

const folder = dirname(process.argv[1])
const read = (name) => {
  try {
    return readFileSync(join(folder, name), 'utf8')
  } catch {
    return ''
  }
}
const mode = read('mode').trim()

function fail(message, code = 254) {
  process.stderr.write(`\naws: [ERROR]: ${message}\n`)
  process.exit(code)
}

/** Parses the long options after the command: each at most once, as `--name value` or `--name=value`. */
function parse(words, allowed) {
  const found = {}
  for (let index = 0; index < words.length; index += 1) {
    const [, name, inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(words[index]) ?? []
    if (name === undefined || !allowed.includes(name) || name in found) {
      fail(`Unknown options: ${words[index]}`, 252)
    }
    found[name] = inline ?? words[(index += 1)]
    if (found[name] === undefined) fail(`argument --${name}: expected one argument`, 252)
  }
  return found
}

/** Resolves to the private address of a running instance, which it requests from the endpoint in AWS_ENDPOINT_URL. */
async function privateAddress(id, region) {
  const scope = `${process.env.AWS_ACCESS_KEY_ID}/20260101/${region}/ec2/aws4_request`
  const response = await fetch(process.env.AWS_ENDPOINT_URL, {
    method: 'POST',
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=00`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({
      ...{ Version: '2016-11-15', Action: 'DescribeInstances', 'InstanceId.1': id },
    }).toString(),
  })
  const text = await response.text()
  const isRunning = /<instanceState>.*?<name>running<\/name>/s.test(text)
  return isRunning ? /<privateIpAddress>([^<]+)</.exec(text)?.[1] : undefined
}

const [service, command, ...words] = process.argv.slice(2)
appendFileSync(join(folder, 'calls'), `${JSON.stringify(process.argv.slice(2))}\n`)
if (process.env.AWS_ACCESS_KEY_ID === undefined) {
  fail('Unable to locate credentials. You can configure credentials by running "aws login".', 253)
}
if (mode === 'hang') setInterval(() => {}, 1000)
else if (service === 'ssm' && command === 'start-session') {
  const options = parse(words, ['target', 'document-name', 'parameters', 'region', 'profile'])
  const { target, region } = options
  const asked = 'when calling the StartSession operation'
  const port = /^portNumber=(\d+)$/.exec(options.parameters ?? '')?.[1]
  if (options['document-name'] !== 'AWS-StartSSHSession' || port === undefined) {
    fail(`An error occurred (InvalidDocument) ${asked}: the document does not exist`)
  }
  if (mode === 'denied') {
    fail(
      `An error occurred (AccessDeniedException) ${asked}: User: arn:aws:iam::123456789012:user/ana is not authorized to perform: ssm:StartSession on resource: arn:aws:ec2:${region}:123456789012:instance/${target}`,
    )
  }
  const waits = Number(/^late (\d+)$/.exec(mode)?.[1] ?? 0)
  const calls = read('calls').trim().split('\n').length
  const address = mode === 'offline' ? undefined : await privateAddress(target, region)
  if (address === undefined || calls <= waits) {
    fail(`An error occurred (TargetNotConnected) ${asked}: ${target} is not connected.`)
  }
  const plugin = 'session-manager-plugin'
  if (spawnSync(plugin, ['--version']).error) {
    fail(
      'SessionManagerPlugin is not found. Please refer to SessionManager Documentation here: http://docs.aws.amazon.com/console/systems-manager/session-manager-plugin-not-found',
      255,
    )
  }
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTSTP']) process.on(signal, () => {})
  const session = JSON.stringify({ SessionId: 'ana-1', StreamUrl: `tcp://${address}:${port}` })
  const args = [session, region, 'StartSession', options.profile ?? '', JSON.stringify({ target })]
  spawn(plugin, args, { stdio: 'inherit' }).once('exit', (code, signal) => {
    if (code === 0) process.exit(0)
    fail(`Command '['${plugin}', …]' returned non-zero exit status ${code ?? signal}.`, 255)
  })
} else if (service === 'ec2-instance-connect' && command === 'open-tunnel') {
  const options = parse(words, ['instance-id', 'remote-port', 'region', 'profile'])
  if (mode === 'no-endpoint') fail('There are no available instance connect endpoints.', 252)
  const address = await privateAddress(options['instance-id'], options.region)
  const upgrade =
    'AWS_ERROR_HTTP_WEBSOCKET_UPGRADE_FAILURE: Failed to upgrade HTTP connection to Websocket.'
  if (address === undefined || mode === 'shut') fail(upgrade, 255)
  const socket = connect(Number(options['remote-port'] ?? 22), address)
  socket.once('error', () => fail(upgrade, 255))
  socket.once('close', () => process.exit(0))
  process.stdin.pipe(socket).pipe(process.stdout)
} else fail('argument command: Found invalid choice', 252)
