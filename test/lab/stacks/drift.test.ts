import * as fc from 'fast-check'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { openEngine } from '../../../src/engine/http-engine.ts'
import { readVersion } from '../../../src/engine/system.ts'
import { readLocalFiles } from '../../../src/operations/compose/read-local-files.ts'
import { findLocalPaths } from '../../../src/operations/compose/project-model.ts'
import { compareServices } from '../../../src/operations/stacks/compare-services.ts'
import { type AskCompose, hashesFor } from '../../../src/operations/stacks/hash-services.ts'
import {
  type StackContainer,
  findComparedImages,
  listStackContainers,
} from '../../../src/operations/stacks/observe-stack.ts'
import { digestInputs } from '../../../src/operations/stacks/service-inputs.ts'
import { type StackModel, deployedModel } from '../../../src/operations/stacks/stack-model.ts'
import type { CommandResult } from '../../../src/transport/run.ts'
import { dockerPlugins } from '../../support/docker/docker-plugins.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { applyEdit, composeFile, edit, newProject } from '../../support/stacks/random-edits.ts'

const plugin = process.env['FLEET_TEST_COMPOSE'] ?? dockerPlugins['docker-compose']
/** Number of random edits; for each of them, compose runs four times. Set FLEET_TEST_EDITS for a long run. */
const edits = Number(process.env['FLEET_TEST_EDITS'] ?? 40)
const seed = Number(process.env['FLEET_TEST_SEED'] ?? 7)

let lab: Lab
let host: LabHost
let engine: Engine
let folder: string
beforeAll(async () => {
  if (!labIsHere || plugin === undefined) return
  lab = await startLab({ hosts: 1, engine: true, image: true })
  ;[host] = lab.hosts as [LabHost]
  folder = await mkdtemp(join(tmpdir(), 'stack-'))
  engine = openEngine(
    async () => {
      const connection = connect(host.engineSocket)
      await once(connection, 'connect')
      return connection
    },
    { label: host.name },
  )
  await host.exec('docker tag bb:1 other:1')
})
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const compose = (args: readonly string[]): Promise<CommandResult> =>
  new Promise((resolve) => {
    const env = { ...process.env, DOCKER_HOST: `unix://${host.engineSocket}` }
    const child = execFile(plugin ?? '', args, { cwd: folder, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code) || 1, stdout, stderr }),
    )
    child.stdin?.end()
  })

const succeed = async (args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await compose(args)
  if (code !== 0) throw new Error(`compose ${args.join(' ')}: ${stderr}`)
  return stdout
}

const ask: AskCompose = async (model, words) => {
  const file = join(folder, '.model.json')
  await writeFile(file, JSON.stringify(model))
  return compose([`--project-name=${model.name}`, `--file=${file}`, ...words])
}

/** Resolves to the model to deploy for the Compose file in the directory. */
async function resolveFolder(): Promise<StackModel> {
  const args = ['-p', 'shop', '-f', 'compose.yaml', 'config', '--format', 'json']
  const model = JSON.parse(await succeed(args)) as StackModel
  const { mounts } = findLocalPaths(model, { root: '/no/root', folder })
  const { files } = await readLocalFiles({ mounts })
  const fileOf = (path: string): string | undefined =>
    relative(folder, path).startsWith('..') ? undefined : path.slice(1)
  return deployedModel(model, digestInputs(model, { files, fileOf, env: {} }))
}

const idsByService = (containers: readonly StackContainer[]): Record<string, string[]> => {
  const ids: Record<string, string[]> = {}
  for (const { service, id } of containers) (ids[service] ??= []).push(id)
  for (const all of Object.values(ids)) all.sort()
  return ids
}

describe.skipIf(!labIsHere || plugin === undefined)('drift of a stack', () => {
  test('is predicted for exactly those services whose containers compose replaces', async () => {
    const version = (await succeed(['version', '--short'])).trim()
    const { Version: release } = await readVersion(engine)
    const project = newProject()
    const all = fc.sample(edit, { numRuns: edits, seed })
    for (const [step, one] of all.entries()) {
      applyEdit(project, one)
      await mkdir(join(folder, 'data'), { recursive: true })
      for (const [name, content] of Object.entries(project.files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true })
        await writeFile(join(folder, name), content)
      }
      await writeFile(join(folder, 'compose.yaml'), composeFile(project))
      if (one.kind === 'other tag') {
        await host.exec(
          `printf 'FROM bb:1\\nLABEL v=${one.value}' | DOCKER_BUILDKIT=0 docker build -q -t other:1 -`,
        )
      }
      const model = await resolveFolder()
      const before = await listStackContainers(engine, 'shop')
      if (one.kind === 'by hand: rm') {
        const gone = before[one.index % before.length]
        if (gone !== undefined) await host.exec(`docker rm -f ${gone.id}`)
      }
      const observed = await listStackContainers(engine, 'shop')
      const hashes = await hashesFor(ask, model)(observed)
      const images = await findComparedImages(engine, model, { containers: observed, release })
      const { changes } = compareServices({ model, hashes, version, images }, observed)
      const predicted = changes
        .filter(({ action }) => action !== 'start')
        .map(({ service }) => service)
      const { code, stderr } = await ask(model, [
        'up',
        '--no-start',
        '--no-build',
        '--pull=never',
        '--remove-orphans',
        '--timeout=0',
      ])
      const where = { step, edit: one, stderr: code === 0 ? '' : stderr, changes }
      expect({ ...where, code }).toEqual({ ...where, code: 0 })
      const was = idsByService(observed)
      const is = idsByService(await listStackContainers(engine, 'shop'))
      const replaced = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter(
        (name) => JSON.stringify(was[name]) !== JSON.stringify(is[name]),
      )
      expect({ ...where, services: predicted.toSorted() }).toEqual({
        ...where,
        services: replaced.toSorted(),
      })
      const after = await listStackContainers(engine, 'shop')
      const left = compareServices(
        {
          ...{ model, version, hashes: await hashesFor(ask, model)(after) },
          images: await findComparedImages(engine, model, { containers: after, release }),
        },
        after,
      ).changes.filter(({ action }) => action !== 'start')
      expect({ ...where, left }).toEqual({ ...where, left: [] })
    }
  })
})
