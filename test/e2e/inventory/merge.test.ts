import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeTestUser } from '../../support/test-user.ts'
import { makeRepository } from '../../support/inventory/repository.ts'

const entry = (n: number): string =>
  `    driver: ssh\n    options: { address: 10.0.0.${n} }\n    host:\n      phase: ready\n      address: 10.0.0.${n}\n`

const add = (text: string, name: string, n: number): string => `${text}\n  ${name}:\n${entry(n)}`

/** Commits `start`, and an additional machine on each of two branches. */
async function addOnTwoBranches(
  { git, write, commit }: Awaited<ReturnType<typeof makeRepository>>,
  start: string,
): Promise<void> {
  await write(start)
  await git('add', '-A')
  await commit('start')
  await git('checkout', '-qb', 'other')
  await write(add(start, 'web-3', 3))
  await commit('web-3')
  await git('checkout', '-q', 'main')
  await write(add(start, 'web-2', 2))
  await commit('web-2')
}

describe('two branches of an inventory', () => {
  it('merge and rebase automatically in a clone with fleet init if they add neighboring machines', async () => {
    await using user = await makeTestUser()
    const repository = await makeRepository(user)
    const { git, fleet, read } = repository
    expect((await fleet('init')).code).toBe(0)
    const start = (await read()).replace(/machines: \{\}[^]*/, `machines:\n  web-1:\n${entry(1)}`)
    await addOnTwoBranches(repository, start)
    const both = add(add(start, 'web-2', 2), 'web-3', 3)

    await git('branch', 'again', 'other')
    await git('merge', '-q', '--no-edit', 'other')
    expect(await read()).toBe(both)

    await git('checkout', '-q', 'again')
    await git('rebase', '-q', 'main~1')
    expect(await read()).toBe(both)
  })

  it('in a conflict left by plain git are reported, and merged by fleet merge', async () => {
    await using user = await makeTestUser()
    const repository = await makeRepository(user)
    const { git, fleet, read } = repository
    const start = `version: 1\nid: 0123abcd\nmachines:\n  web-1:\n${entry(1)}`
    await addOnTwoBranches(repository, start)
    await expect(git('merge', '-q', 'other')).rejects.toThrow('git merge')
    const refused = await fleet('ls')
    expect(refused.code).toBe(4)
    expect(refused.stderr).toContain('fleet merge')
    expect(await fleet('merge')).toMatchObject({ code: 0 })
    expect(await read()).toBe(add(add(start, 'web-2', 2), 'web-3', 3))
  })

  it('can be checked before a commit, as staged', async () => {
    await using user = await makeTestUser()
    const { git, fleet, write } = await makeRepository(user)
    const start = `version: 1\nid: 0123abcd\nmachines:\n  web-1:\n${entry(1)}`
    await write(start.replace('phase: ready', 'phase: creating'))
    await git('add', '-A')
    await write(start)
    expect(await fleet('check')).toMatchObject({ code: 0, stdout: '' })
    const staged = await fleet('check', '--staged')
    expect(staged.code).toBe(4)
    expect(staged.stderr).toContain('machines.yaml:8:14: web-1 was only partly created')
    const create = await fleet('create', 'x', '--driver', 'ssh', '--address', 'h', '--via', 'nope')
    expect(create.code).not.toBe(0)
  })

  it('get a commit for each change in an inventory with audit: git, and no other commits', async () => {
    await using user = await makeTestUser()
    const { git, fleet, write } = await makeRepository(user)
    const start = `version: 1\nid: 0123abcd\naudit: git\nmachines:\n  web-1:\n${entry(1)}`
    await write(start)
    await git('add', '-A')
    await git('commit', '-qm', 'start')
    await writeFile(join(user.home, 'ops/other'), 'staged')
    await git('add', 'other')
    expect(await fleet('label', 'web-1', 'role=web')).toMatchObject({ code: 0, stderr: '' })
    expect(await fleet('ls')).toMatchObject({ code: 0 })
    expect(await fleet('rm', '-y', 'web-1')).toMatchObject({ code: 0 })
    const { stdout } = await git('log', '--format=%s', '--name-only')
    expect(stdout).toBe(
      'Remove web-1\n\nmachines.yaml\nSet label.role for web-1 to web\n\nmachines.yaml\nstart\n\nmachines.yaml\n',
    )
    expect((await git('status', '--porcelain')).stdout).toBe('A  other\n')
    expect((await git('show', '--stat', '--format=')).stdout).not.toContain('other')
  })

  it('get separate commits with the right message for concurrent commands', async () => {
    await using user = await makeTestUser()
    const { git, fleet, write } = await makeRepository(user)
    const names = ['web-1', 'web-2', 'web-3', 'web-4']
    const machines = names.map((name, n) => `  ${name}:\n${entry(n)}`).join('\n')
    await write(`version: 1\nid: 0123abcd\naudit: git\nmachines:\n${machines}`)
    await git('add', '-A')
    await git('commit', '-qm', 'start')
    const answers = await Promise.all(
      names.map((name) => fleet('set', name, `label.n=${name}`, 'protected=true')),
    )
    expect(answers.map(({ code }) => code)).toEqual([0, 0, 0, 0])
    expect((await git('status', '--porcelain')).stdout).toBe('')
    for (const name of names) {
      const message = `Set protected for ${name} to true; set label.n for ${name} to ${name}`
      const { stdout } = await git('log', '-p', '--format=', '--fixed-strings', `--grep=${message}`)
      const added = stdout.split('\n').filter((line) => /^[+-][^+-]/.test(line))
      expect({ name, added }).toEqual({
        name,
        added: [`+    labels: { n: ${name} }`, '+    protected: true'],
      })
    }
  })

  it('are changed even if they cannot be committed, which is reported', async () => {
    await using user = await makeTestUser()
    const text = `version: 1\nid: 0123abcd\naudit: git\nmachines:\n  web-1:\n${entry(1)}`
    await writeFile(join(user.folder, 'machines.yaml'), text)
    const env = { GIT_CEILING_DIRECTORIES: user.home }
    const answer = await user.fleet(['label', 'web-1', 'role=web'], { env })
    expect(answer.code).toBe(0)
    expect(answer.stderr).toContain('not committed (audit: git)')
    expect(await user.inventory()).toContain('role: web')
  })
})
