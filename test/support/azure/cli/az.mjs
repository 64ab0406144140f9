/* oxlint-disable unicorn/no-process-exit -- a standalone program */
// A stand-in for the Azure CLI with its extension `bastion`: the two commands that fleet runs, with the arguments that
// they accept, and the messages and the order of events of the real CLI. The file `mode` in the same directory sets how
// it fails.
import { appendFileSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'

const folder = dirname(process.argv[1])
const read = (name) => {
  try {
    return readFileSync(join(folder, name), 'utf8').trim()
  } catch {
    return ''
  }
}
const log = (event) => appendFileSync(join(folder, 'calls'), `${JSON.stringify(event)}\n`)
const mode = read('mode')
const sleep = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

function fail(message, code = 1) {
  process.stderr.write(`ERROR: ${message}\n`)
  process.exit(code)
}

/**
 * Prints a warning unless only_show_errors is set in the environment or, if unset there, in the configuration, as in
 * knack.
 */
function warn(message) {
  const setting = process.env.AZURE_CORE_ONLY_SHOW_ERRORS ?? read('only_show_errors')
  if (!/^(?:1|yes|true|on)$/i.test(setting)) process.stderr.write(`WARNING: ${message}\n`)
}

function parse(words, allowed) {
  const found = {}
  for (const word of words) {
    const [, name, value] = /^--([a-z-]+)=(.*)$/s.exec(word) ?? []
    if (name === undefined || !allowed.includes(name)) fail(`unrecognized arguments: ${word}`, 2)
    found[name] = value
  }
  return found
}

const words = process.argv.slice(2)
log(words)
if (words.join(' ') === 'extension show --name bastion --output none') {
  if (mode === 'no-extension') fail('The extension bastion is not installed.')
} else if (words.slice(0, 3).join(' ') === 'network bastion tunnel') {
  if (mode === 'no-extension') {
    fail(
      "The command requires the extension bastion. Unable to prompt for extension install confirmation as no tty available. Run 'az config set extension.use_dynamic_install=yes_without_prompt' to allow installing extensions without prompt.",
      2,
    )
  }
  const options = parse(words.slice(3), [
    ...['name', 'resource-group', 'subscription'],
    ...['target-resource-id', 'resource-port', 'port'],
  ])
  await sleep(200) // the startup time of Python
  if (mode === 'login') fail("Please run 'az login' to setup account.")
  if (mode === 'denied') {
    fail(
      `(AuthorizationFailed) The client 'ana@example.com' with object id '0' does not have authorization to perform action 'Microsoft.Network/bastionHosts/read' over scope '/subscriptions/${options.subscription}' or the scope is invalid.`,
    )
  }
  if (mode === 'hang') await new Promise(() => setInterval(() => {}, 1000))
  let session = false
  const clean = () => {
    if (session) log(['session deleted'])
    session = false
  }
  const server = createServer((client) => {
    if (mode === 'refused') {
      // A thread fails, which the main thread notices at its next check.
      process.stderr.write(
        'Exception in thread Thread-1 (_start_tunnel):\nTraceback (most recent call last):\n    raise exp\nmsrestazure.azure_exceptions.CloudError: The target machine is not reachable from the Bastion\n',
      )
      setTimeout(() => process.exit(0), 300)
      return
    }
    session = true
    const name = options['target-resource-id'].split('/').at(-1)
    const upstream = connect(Number(options['resource-port']), read(`host-${name}`) || '127.0.0.1')
    const end = () => {
      client.destroy()
      upstream.destroy()
      clean()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    client.pipe(upstream).pipe(client)
  })
  server.listen(Number(options.port), '127.0.0.1')
  server.once('listening', () => {
    const { port } = server.address()
    warn(`Opening tunnel on port: ${port}`)
    warn(`Tunnel is ready, connect on port ${port}`)
    warn('Ctrl + C to close')
  })
  process.on('SIGINT', () => {
    clean()
    process.exit(0)
  })
  process.on('SIGUSR2', () => fail('Connection to remote host was lost.'))
} else {
  fail(`'${words[0]}' is misspelled or not recognized by the system.`, 2)
}
