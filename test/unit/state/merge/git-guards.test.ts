import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { commitEdits } from '../../../../src/operations/inventory/commit-file.ts'
import { mergeConflicted } from '../../../../src/operations/inventory/merge-inventory.ts'
import { runGit } from '../../../../src/state/merge/git.ts'
import { installPreCommitHook } from '../../../../src/state/merge/pre-commit-hook.ts'
import { addLine, configureGit } from '../../../../src/state/merge/git-merge-driver.ts'

let root = ''
let folder = ''
const env = {
  PATH: process.env['PATH'],
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'ana',
  GIT_AUTHOR_EMAIL: 'ana@example.com',
  GIT_COMMITTER_NAME: 'ana',
  GIT_COMMITTER_EMAIL: 'ana@example.com',
}
const git = (...args: readonly string[]) =>
  execFileSync('git', args, { cwd: folder, env: { ...env, HOME: root }, encoding: 'utf8' }).trim()
const file = () => join(folder, 'machines.yaml')
/** An edit of a text that is not an inventory, which makes fleet commit the whole file. */
const edits = [{ before: '', after: 'changed' }]
const commit = (message = 'Change') => commitEdits(file(), edits, message, { ...env, HOME: root })

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'fleet-git-'))
  folder = join(root, 'repo/deep')
  await mkdir(folder, { recursive: true })
  git('init', '-q', '-b', 'main', '..')
})
afterEach(() => rm(root, { recursive: true }))

/** Returns an inventory with these entries. */
const inventoryOf = (...lines: string[]) => `version: 1\nid: 0123abcd\nmachines:\n${lines.join('')}`
const entryOf = (name: string, type: string) =>
  `  ${name}:\n    driver: aws\n    options: { type: ${type} }\n`

describe('committing the inventory', () => {
  test('includes only that file, starting with the first commit, and keeps other staged files', async () => {
    await writeFile(file(), 'one\n')
    await writeFile(join(folder, 'other'), 'staged')
    git('add', 'other')
    expect(await commit('the first')).toBeUndefined()
    expect(git('ls-tree', '-r', '--name-only', '--full-tree', 'HEAD')).toBe('deep/machines.yaml')
    await writeFile(file(), 'two\n')
    expect(await commit('the "second"; $(x)')).toBeUndefined()
    expect(git('log', '--format=%s')).toBe('the "second"; $(x)\nthe first')
    expect(git('status', '--porcelain')).toBe('A  deep/other')
    expect(await commit()).toBeUndefined() // nothing differs from the last commit
    expect(git('rev-list', '--count', 'HEAD')).toBe('2')
  })

  test('converts line endings as git is configured to', async () => {
    git('config', 'core.autocrlf', 'true')
    await writeFile(file(), 'one\r\ntwo\r\n')
    expect(await commit()).toBeUndefined()
    expect(git('cat-file', 'blob', 'HEAD:deep/machines.yaml')).toBe('one\ntwo')
    expect(git('status', '--porcelain')).toBe('')
  })

  test('fails with the reason if git would not commit the file', async () => {
    await writeFile(file(), 'one\n')
    await writeFile(join(folder, '.gitignore'), 'machines.yaml\n')
    expect(await commit()).toContain('git ignores the file')
    await rm(join(folder, '.gitignore'), { force: true })
    expect(await commit()).toBeUndefined()
    git('checkout', '-q', '-b', 'side')
    for (const [branch, text] of [
      ['side', 'side\n'],
      ['main', 'main\n'],
    ] as const) {
      git('checkout', '-q', branch)
      await writeFile(file(), text)
      git('commit', '-qam', branch)
    }
    expect(() => git('merge', '-q', 'side')).toThrow('Command failed')
    expect(await commit()).toContain('a merge is in progress')
    expect(await commitEdits(file(), edits, 'x', { ...env, GIT_DIR: '/nowhere' })).toContain(
      'not a git repository',
    )
  })

  test('includes only the edits of one command, even if the file has other changes', async () => {
    const [a, b] = [entryOf('a', 't3.small'), entryOf('b', 't3.small')]
    const [a2, b2, c] = [
      entryOf('a', 't3.large'),
      entryOf('b', 't3.large'),
      entryOf('c', 't3.nano'),
    ]
    const change = (message: string, ...texts: [string, string][]) =>
      commitEdits(
        file(),
        texts.map(([before, after]) => ({ before, after })),
        message,
        { ...env, HOME: root },
      )
    const committed = () => `${git('cat-file', 'blob', 'HEAD:deep/machines.yaml')}\n`
    await writeFile(file(), inventoryOf(a, b))
    git('add', '.')
    git('commit', '-qm', 'before')

    // Two commands that wrote twice each, in alternation.
    await writeFile(file(), inventoryOf(a2, b2, c))
    const first: [string, string][] = [
      [inventoryOf(a, b), inventoryOf(a2, b)],
      [inventoryOf(a2, b2), inventoryOf(a2, b2, c)],
    ]
    expect(await change('Set type of a', ...first)).toBeUndefined()
    expect(committed()).toBe(inventoryOf(a2, b, c))
    expect(git('status', '--porcelain')).toBe('M deep/machines.yaml')
    expect(await change('Set type of b', [inventoryOf(a2, b), inventoryOf(a2, b2)])).toBeUndefined()
    expect(committed()).toBe(inventoryOf(a2, b2, c))
    expect(git('status', '--porcelain')).toBe('')

    // Staged changes in the file stay staged, and the edit is added to them.
    await writeFile(file(), inventoryOf(a, b2, c))
    git('add', '.')
    await writeFile(file(), inventoryOf(a, b2))
    expect(await change('Remove c', [inventoryOf(a, b2, c), inventoryOf(a, b2)])).toBeUndefined()
    expect(committed()).toBe(inventoryOf(a2, b2))
    expect(git('status', '--porcelain')).toBe('M  deep/machines.yaml')
    expect(`${git('cat-file', 'blob', ':deep/machines.yaml')}\n`).toBe(inventoryOf(a, b2))

    // If an entry was never committed, an edit to it cannot be committed separately.
    const d = entryOf('d', 't3.nano')
    const d2 = entryOf('d', 't3.large')
    await writeFile(file(), inventoryOf(a, b2, d2))
    expect(
      await change('Set type of d', [inventoryOf(a, b2, d), inventoryOf(a, b2, d2)]),
    ).toBeUndefined()
    expect(committed()).toBe(inventoryOf(a, b2, d2))
  })

  test('refuses a file that a git filter should convert', async () => {
    git('config', 'filter.crypt.clean', 'false')
    await writeFile(file(), 'one\n')
    await writeFile(join(folder, '.gitattributes'), 'machines.yaml filter=crypt\n')
    expect(await commit()).toContain('the git filter "crypt"')
  })
})

test("git calls run no program from the repository's configuration", async () => {
  const ran = join(root, 'ran')
  const evil = join(root, 'evil')
  await writeFile(evil, `#!/bin/sh\necho "$0 $*" >>'${ran}'\ncat\n`)
  await chmod(evil, 0o755)
  await writeFile(file(), 'version: 1\nid: 0123abcd\nmachines: {}\n')
  await writeFile(join(folder, 'other'), 'one')
  git('add', '.')
  git('commit', '-qm', 'before')
  const commitText = git('cat-file', 'commit', 'HEAD').replace(
    '\n\n',
    '\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n',
  )
  await writeFile(join(root, 'commit'), `${commitText}\n`)
  git('reset', '-q', '--soft', git('hash-object', '-t', 'commit', '-w', join(root, 'commit')))
  const hooks = join(root, 'repo/.git/hooks')
  const names =
    'pre-commit prepare-commit-msg commit-msg post-commit post-index-change reference-transaction pre-auto-gc post-rewrite post-checkout fsmonitor-watchman'
  await mkdir(hooks, { recursive: true })
  for (const name of names.split(' ')) {
    await writeFile(join(hooks, name), `#!/bin/sh\necho ${name} >>'${ran}'\n`, { mode: 0o755 })
  }
  const settings = {
    ...{ 'core.fsmonitor': evil, 'core.pager': evil, 'core.editor': evil, 'diff.external': evil },
    ...{ 'core.sshCommand': evil, 'core.askPass': evil, 'gpg.program': evil, 'pager.show': evil },
    ...{ 'log.showSignature': 'true', 'gpg.format': 'openpgp' },
    ...{ 'commit.gpgSign': 'true', 'diff.evil.textconv': evil, 'diff.evil.command': evil },
    ...{ 'filter.evil.clean': evil, 'filter.evil.smudge': evil, 'filter.evil.required': 'true' },
    ...{ 'merge.evil.driver': evil, 'core.alternateRefsCommand': evil, 'gc.auto': '1' },
    ...{ 'remote.origin.url': `ext::${evil}`, 'remote.origin.promisor': 'true' },
    ...{ 'protocol.ext.allow': 'always', 'extensions.partialClone': 'origin' },
    ...{ 'alias.cat-file': `!${evil}`, 'alias.ls-files': `!${evil}`, 'credential.helper': evil },
  }
  for (const [key, value] of Object.entries(settings)) git('config', key, value)
  await writeFile(
    join(folder, '.gitattributes'),
    'other filter=evil diff=evil merge=evil\nmachines.yaml diff=evil merge=evil\n',
  )
  await writeFile(join(folder, 'other'), 'changed')
  await writeFile(ran, '') // git ran some of the programs during the setup
  await rm(ran)

  await writeFile(file(), 'version: 1\nid: 0123abcd\nmachines: { a: { driver: local } }\n')
  const surroundings = { ...env, HOME: root }
  const typed = [
    {
      before: 'version: 1\nid: 0123abcd\nmachines: {}\naudit: git\n',
      after: 'version: 1\nid: 0123abcd\nmachines: { a: { driver: local } }\naudit: git\n',
    },
  ]
  expect(await commitEdits(file(), typed, 'Add a', surroundings)).toBeUndefined()
  const written = ['.gitignore', '.gitattributes'].map((name) => join(folder, name))
  expect(await configureGit(file(), surroundings)).toEqual({ files: written, failure: undefined })
  expect(
    await runGit(folder, ['cat-file', 'blob', ':./machines.yaml'], surroundings),
  ).toMatchObject({ code: 0 })
  expect((await runGit(folder, ['log', '--format=%H'], surroundings)).code).toBe(0)
  const missing = `${'0'.repeat(39)}1` // a partial clone would fetch this object
  expect((await runGit(folder, ['cat-file', 'blob', missing], surroundings)).code).not.toBe(0)
  await expect(mergeConflicted({ env: surroundings }, file())).rejects.toMatchObject({
    kind: 'usage',
  })
  await expect(readFile(ran, 'utf8')).rejects.toMatchObject({ code: 'ENOENT' })
})

test('the merge driver is set up even if .gitignore cannot be written, and errors of git are reported', async () => {
  const surroundings = { ...env, HOME: root }
  const defined = () => runGit(folder, ['config', 'merge.fleet.driver'], surroundings)
  await writeFile(join(root, 'repo/.git/config.lock'), '')
  expect(await configureGit(file(), surroundings)).toMatchObject({
    failure: expect.stringContaining('could not lock config file') as string,
  })
  expect((await defined()).code).not.toBe(0)
  await rm(join(root, 'repo/.git/config.lock'))
  await rm(join(folder, '.gitignore'), { force: true })
  await symlink(join(root, 'elsewhere'), join(folder, '.gitignore'))
  await expect(configureGit(file(), surroundings)).rejects.toThrow(/symbolic link/)
  expect((await defined()).stdout).toContain('fleet merge')
})

const mergeDriverOf = (path: string) => git('check-attr', '-z', 'merge', path).split('\0')[2]

test.each(['my "web" machines.yaml', 'shop[1]*?.yaml', 'back\\slash x.yaml'])(
  'git merges the inventory %s with fleet, and ignores the temporary files next to it',
  async (name) => {
    const surroundings = { ...env, HOME: root }
    await configureGit(join(folder, name), surroundings)
    const near = ['other.yaml', 'web', 'shop1ab.yaml', `x${name}`]
    expect([name, ...near].filter((path) => mergeDriverOf(path) === 'fleet')).toEqual([name])
    const ignored = (path: string) =>
      runGit(folder, ['check-ignore', '-q', path], surroundings).then(({ code }) => code === 0)
    expect(await ignored(`${name}.123`)).toBe(true)
    expect(await ignored(name)).toBe(false)
    expect(await ignored('shop1ab.yaml.123')).toBe(false)
  },
)

test('a line is not added to .gitattributes or .gitignore through a symbolic link', async () => {
  const other = join(root, 'bashrc')
  await writeFile(other, 'mine\n')
  for (const name of ['.gitattributes', '.gitignore']) {
    await symlink(other, join(folder, name))
    await expect(addLine(join(folder, name), 'x')).rejects.toMatchObject({
      kind: 'inventory',
      message: expect.stringContaining(`${name} is a symbolic link`),
    })
  }
  expect(await readFile(other, 'utf8')).toBe('mine\n')
})

const install = (path = file()) => installPreCommitHook(path, { ...env, HOME: root })

/** Commits with a fake fleet. Resolves to its recorded arguments and directory, or to `refused`. */
async function commitWith(fleet: string): Promise<string> {
  const bin = join(root, 'bin')
  await mkdir(bin, { recursive: true })
  await writeFile(join(bin, 'fleet'), `#!/bin/sh\n${fleet}\n`, { mode: 0o755 })
  const path = `${bin}:${process.env['PATH']}`
  try {
    execFileSync('git', ['commit', '-q', '--allow-empty', '-m', 'x'], {
      cwd: folder,
      env: { ...env, HOME: root, PATH: path },
      stdio: 'pipe',
    })
    return await readFile(join(root, 'asked'), 'utf8').catch(() => '')
  } catch {
    return 'refused'
  }
}

describe('the pre-commit hook that checks the inventory', () => {
  test('runs where git runs hooks, but only if the inventory is tracked', async () => {
    await writeFile(file(), 'one\n')
    const hook = join(root, 'repo/.git/hooks/pre-commit')
    expect(await install()).toEqual({ file: hook, isNew: true })
    expect(await install()).toEqual({ file: hook, isNew: false })
    const tell = `echo "$(basename "$PWD") $*" > "${root}/asked"`
    expect(await commitWith(tell)).toBe('')
    git('add', 'machines.yaml')
    expect(await commitWith(tell)).toBe('repo check --staged --inventory=deep/machines.yaml\n')
    expect(await commitWith('exit 4')).toBe('refused')
    await chmod(hook, 0o644)
    await expect(install()).rejects.toThrow('is not executable')
  })

  test.each(['our hooks', '../hooks'])('is installed in core.hooksPath %s', async (path) => {
    await writeFile(file(), 'one\n')
    git('config', 'core.hooksPath', path)
    const hook = join(root, 'repo', path, 'pre-commit')
    expect(await install()).toEqual({ file: hook, isNew: true })
    git('add', 'machines.yaml')
    expect(await commitWith('exit 4')).toBe('refused')
  })

  test('does not replace an existing hook, even a broken link', async () => {
    await writeFile(file(), 'one\n')
    const hook = join(root, 'repo/.git/hooks/pre-commit')
    await writeFile(hook, '#!/bin/sh\nmake lint\n# fleet check --staged\n', { mode: 0o755 })
    await expect(install()).rejects.toThrow('was not changed')
    expect(await readFile(hook, 'utf8')).toContain('make lint')
    await rm(hook)
    await symlink('/nowhere/hook', hook)
    await expect(install()).rejects.toThrow('was not changed')
    await expect(install(join(root, 'absent.yaml'))).rejects.toThrow('absent.yaml')
    await writeFile(join(root, 'outside.yaml'), '')
    await expect(install(join(root, 'outside.yaml'))).rejects.toThrow('not in a git repository')
  })
})
