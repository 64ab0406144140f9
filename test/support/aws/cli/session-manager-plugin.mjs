/* oxlint-disable unicorn/no-process-exit -- a standalone program */
// A stand-in for the Session Manager plugin: connects standard input and output to the session's stream.
import { connect } from 'node:net'

if (process.argv[2] === '--version') {
  process.stdout.write('1.2.764.0\n')
} else {
  const { hostname, port } = new URL(JSON.parse(process.argv[2]).StreamUrl)
  const socket = connect(Number(port), hostname)
  socket.once('error', (error) => {
    process.stderr.write(`SessionId: ana-1 : ${error.message}\n`)
    process.exit(1)
  })
  socket.once('close', () => process.exit(0))
  process.once('SIGUSR2', () => {
    process.stderr.write('SessionId: ana-1 : Your session timed out due to inactivity\n')
    process.exit(1)
  })
  process.stdin.pipe(socket).pipe(process.stdout)
}
