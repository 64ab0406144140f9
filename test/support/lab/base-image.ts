import { copyFile, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { ended, runProgram } from './process.ts'

/** The image that `importBaseImage` creates: a shell and its tools, from busybox-static. */
const baseImage = 'bb:1'

/** Creates a root directory that contains busybox under all its names. */
export async function makeBaseRoot(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  for (const part of ['bin', 'etc', 'root', 'tmp'])
    await mkdir(join(folder, part), { recursive: true })
  await copyFile('/bin/busybox', join(folder, 'bin/busybox'))
  const applets = (await runProgram(['busybox', '--list'])).trim().split('\n')
  await Promise.all([
    writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n'),
    ...applets
      .filter((name) => name !== 'busybox')
      .map((name) => symlink('busybox', join(folder, 'bin', name))),
  ])
}

/** Imports a root directory as `baseImage` into the engine on a socket (Engine API, ImageCreate with fromSrc). */
export async function importBaseImage(socketPath: string, root: string): Promise<void> {
  const query = new URLSearchParams({ fromSrc: '-', repo: baseImage, changes: 'CMD ["sh"]' })
  const tar = spawn('tar', ['-C', root, '--owner=0', '--group=0', '-c', '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const answer = await new Promise<string>((resolve, reject) => {
    const upload = request({
      socketPath,
      method: 'POST',
      path: `/images/create?${query.toString()}`,
    })
    upload.on('error', reject)
    upload.on('response', (response) => void text(response).then(resolve, reject))
    tar.stdout.pipe(upload)
  })
  await ended(tar)
  if (!answer.includes('sha256:'))
    throw new Error(`the engine did not import ${baseImage}: ${answer}`)
}
