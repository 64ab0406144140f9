// Checks exchanges with Azure, read as JSON from standard input, against Microsoft's API descriptions in the directory
// SPECS, and writes the verdicts to FILE: node judge.mjs SPECS FILE. It is a separate program, because the validator
// writes to standard output and leaves timers running.
import { readFileSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import Ajv from 'ajv-draft-04'
import { LiveValidator } from 'oav'

const [, , specs = '', file = ''] = process.argv

/** API versions of the OpenAPI files, keyed by namespace. */
const versions = { 'microsoft.compute': '2024-07-01', 'microsoft.network': '2024-05-01' }

const validator = new LiveValidator({
  git: { shouldClone: false },
  directory: `${specs}/specs`,
  swaggerPathsPattern: ['specification/**/resource-manager/**/*.json'],
  excludedSwaggerPathsPattern: ['**/common-types/**'],
  isPathCaseSensitive: false,
})
await validator.initialize()

const schemas = 'https://schema.management.azure.com/schemas/'
const bodies = {
  'Microsoft.Compute/virtualMachines': '2026-03-01/Microsoft.Compute.json',
  'Microsoft.Network/publicIPAddresses': '2025-05-01/Microsoft.Network.NRP.json',
  'Microsoft.Network/networkInterfaces': '2025-05-01/Microsoft.Network.NRP.json',
  'Microsoft.Network/networkSecurityGroups': '2025-05-01/Microsoft.Network.NRP.json',
  'Microsoft.Network/virtualNetworks': '2025-05-01/Microsoft.Network.NRP.json',
}

const load = (/** @type {string} */ name) =>
  JSON.parse(readFileSync(`${specs}/armschemas/schemas/${name}`, 'utf8'))

function loadTemplates() {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, logger: false })
  const compute = load('2026-03-01/Microsoft.Compute.json')
  // The file with the definitions of extensions is not available, so any extension is accepted.
  /** @type {Record<string, object>} */
  const extensions = {}
  JSON.stringify(compute, (key, value) => {
    if (key === '$ref' && value.includes('Extensions.json')) extensions[value.split('/').pop()] = {}
    return value
  })
  const id = `${schemas}2026-03-01/Microsoft.Compute.Extensions.json#`
  ajv.addSchema({ id, definitions: extensions, resourceDefinitions: extensions })
  const network = load('2025-05-01/Microsoft.Network.NRP.json')
  for (const schema of [compute, network, load('common-definitions.json')]) ajv.addSchema(schema)
  return ajv
}
const templates = loadTemplates()

/** Checks the body of a PUT against the template schema of its resource type. Returns the errors. */
function judgeBody(
  /** @type {string} */ path,
  /** @type {string} */ apiVersion,
  /** @type {object} */ body,
  /** @type {boolean} */ isPublic,
) {
  const [, type = '', name] = /\/providers\/([^/]+\/[^/]+)\/([^/]+)$/.exec(path) ?? []
  const schema = bodies[/** @type {keyof typeof bodies} */ (type)]
  if (schema === undefined) return []
  const validate = templates.compile({
    $ref: `${schemas}${schema}#/resourceDefinitions/${type.split('/')[1]}`,
  })
  // Requests to the national clouds use older API versions, which the available schemas do not contain.
  const [described] = schema.split('/')
  validate({ type, apiVersion: isPublic ? apiVersion : described, name, ...body })
  return (
    (validate.errors ?? [])
      .filter(
        ({ schemaPath, keyword }) =>
          !/expression/.test(schemaPath) && !/^(?:one|any)Of$/.test(keyword),
      )
      // The list of sizes is outdated, as its description says.
      .filter(({ instancePath }) => instancePath !== '/properties/hardwareProfile/vmSize')
      .map(
        ({ instancePath, message, params }) =>
          `template: ${instancePath} ${message} ${JSON.stringify(params)}`,
      )
  )
}

/** @typedef {{ method: string, url: string, headers: Record<string, string>, requestBody?: object, status: number, answerHeaders: Record<string, string>, body?: object }} Exchange */

async function judge(/** @type {Exchange} */ exchange) {
  const { method, status, answerHeaders, body, requestBody, headers } = exchange
  const url = new URL(exchange.url)
  const namespace = (/\/providers\/(microsoft\.\w+)/i.exec(url.pathname)?.[1] ?? '').toLowerCase()
  const apiVersion = url.searchParams.get('api-version') ?? ''
  url.searchParams.set(
    'api-version',
    versions[/** @type {keyof typeof versions} */ (namespace)] ?? '2021-04-01',
  )
  const result = await validator.validateLiveRequestResponse({
    liveRequest: { method, url: url.href, headers, ...(requestBody && { body: requestBody }) },
    liveResponse: { statusCode: String(status), headers: answerHeaders, ...(body && { body }) },
  })
  const sides = [result.requestValidationResult, result.responseValidationResult]
  const isUnknown = sides.some(
    ({ runtimeException }) =>
      runtimeException?.code === 'OPERATION_NOT_FOUND_IN_CACHE' ||
      runtimeException?.code === 'OPERATION_NOT_FOUND_IN_CACHE_WITH_PROVIDER' ||
      runtimeException?.code === 'OPERATION_NOT_FOUND_IN_CACHE_WITH_VERB' ||
      runtimeException?.code === 'OPERATION_NOT_FOUND_IN_CACHE_WITH_API',
  )
  const troubles = sides.flatMap(({ errors, runtimeException }) => [
    ...(runtimeException ? [`${runtimeException.code}: ${runtimeException.message}`] : []),
    ...(errors ?? []).map(
      ({ code, message, pathsInPayload }) => `${code}: ${message} ${String(pathsInPayload)}`,
    ),
  ])
  const template =
    method === 'PUT' && requestBody
      ? judgeBody(url.pathname, apiVersion, requestBody, url.host === 'management.azure.com')
      : []
  return isUnknown
    ? { isUnknown, troubles: template }
    : { isUnknown, troubles: [...troubles, ...template] }
}

/** @type {Exchange[]} */
const exchanges = JSON.parse(await text(process.stdin))
const verdicts = []
for (const exchange of exchanges) verdicts.push(await judge(exchange))
writeFileSync(file, JSON.stringify(verdicts))
// oxlint-disable-next-line unicorn/no-process-exit -- the validator's timers would keep the process running
process.exit(0)
