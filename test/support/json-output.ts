import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { describeJsonOutput } from '../../scripts/json-output/page.ts'

const schemaId = 'fleet'
const { $defs } = describeJsonOutput()
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema({ $id: schemaId, $defs })

function validatorOf(id: string): ValidateFunction {
  const validate = id in $defs ? ajv.getSchema(`${schemaId}#/$defs/${id}`) : undefined
  if (validate === undefined) throw new Error(`there is no schema ${id}`)
  return validate
}

function check(id: string, text: string): void {
  const validate = validatorOf(id)
  if (validate(JSON.parse(text))) return
  throw new Error(
    `this is not as docs/json-output.md describes ${id}: ${ajv.errorsText(validate.errors)}\n${text.slice(0, 2000)}`,
  )
}

/** Results that test/unit/commands/run checks, because they require a driver that creates hosts, or another server. */
export const checkedInProcess: readonly string[] = [
  'allow',
  'cacheLs',
  'deploy',
  'doctor',
  'forwardLs',
  'gc',
  'grantEvent',
  'power',
  'registryTags',
  'serviceChanges',
  'serviceLogs',
  'serviceLs',
  'servicePs',
  'snapshotLs',
  'stackAdopt',
  'stackLogs',
  'stackLs',
  'stackPs',
  'stackRm',
  'stackRollback',
  'swarmCheck',
  'swarmLs',
  'swarmRotate',
  'swarmStatus',
  'swarmUnlock',
  'trustAdd',
  'upgrade',
  'where',
]

/** Results that a test with real hosts checks: test/e2e/swarm/recover.test.ts. */
export const checkedElsewhere: readonly string[] = ['swarmRecover']

/** Throws if the output of a command with `--json` does not match its schema. Each line is a value. */
export function checkJsonOutput(id: string, stdout: string): void {
  const lines = stdout.split('\n').filter((line) => line !== '')
  if (lines.length === 0) throw new Error(`${id}: there is no output`)
  for (const line of lines) check(id, line)
}

/** Returns the schema name of a JSON line of stderr. */
function messageId(line: string): string {
  const { error, event } = JSON.parse(line) as { error?: object; event?: string }
  if (error !== undefined) return 'error'
  return event === 'plan' ? 'planEvent' : event === 'grant' ? 'grantEvent' : 'progress'
}

/** Throws if a JSON line of stderr does not match its schema. Returns the names of the schemas. */
export function checkJsonMessages(stderr: string): readonly string[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => {
    const id = messageId(line)
    check(id, line)
    return id
  })
}
