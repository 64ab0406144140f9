// npm run dev -- ARGUMENT...: runs fleet from source, without a broker, which only the built program can start.
import { runProcess } from '../src/cli/process.ts'

process.env['FLEET_BROKER'] = 'off'
await runProcess(process.argv.slice(2), {
  file: import.meta.filename,
  version: 'dev',
  build: 'dev',
})
