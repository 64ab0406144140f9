// npm run dev -- ARGUMENT...: runs fleet from source. There is no broker: it is started from the built program.
import { runProcess } from '../src/cli/process.ts'

process.env['FLEET_BROKER'] = 'off'
await runProcess(process.argv.slice(2), {
  file: import.meta.filename,
  version: 'dev',
  build: 'dev',
})
