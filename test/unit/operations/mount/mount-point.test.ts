import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { checkMountPoint, findMounted } from '../../../../src/operations/mount/mount-point.ts'

const mountinfo = String.raw`22 27 0:20 / /proc rw,nosuid - proc proc rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
88 27 0:40 / /home/ana/a\040dir\134x rw,nosuid,nodev - fuse.sshfs web-1:/srv/a\040b rw,user_id=0
90 27 0:41 / /mnt rw shared:3 master:1 - tmpfs none rw
91 90 0:42 / /mnt rw,nosuid,nodev - fuse.sshfs web-2:/srv rw
`

test('finds the file system mounted on a directory', () => {
  expect(findMounted(mountinfo, String.raw`/home/ana/a dir\x`)).toEqual({
    ...{ type: 'fuse.sshfs', source: 'web-1:/srv/a b' },
  })
  expect(findMounted(mountinfo, '/mnt')).toEqual({ type: 'fuse.sshfs', source: 'web-2:/srv' })
  expect(findMounted(mountinfo, '/proc')).toEqual({ type: 'proc', source: 'proc' })
  expect(findMounted(mountinfo, '/home/ana')).toBeUndefined()
})

test('only an empty directory can be a mount point', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mount-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await mkdir(join(folder, 'full/in it'), { recursive: true })
  await writeFile(join(folder, 'file'), '')
  const missing = join(folder, 'no such')
  await expect(checkMountPoint(join(folder, 'full/in it'))).resolves.toBeUndefined()
  await expect(checkMountPoint(join(folder, 'full'))).rejects.toMatchObject({
    ...{ kind: 'failed', message: expect.stringContaining('is not empty') },
  })
  await expect(checkMountPoint(join(folder, 'file'))).rejects.toMatchObject({
    message: expect.stringContaining('is not a directory'),
  })
  await expect(checkMountPoint(missing)).rejects.toMatchObject({
    hint: expect.stringContaining(`mkdir '${missing}'`),
  })
})

test.runIf(process.platform === 'linux')(
  'a mounted directory cannot be a mount point',
  async () => {
    await expect(checkMountPoint('/proc')).rejects.toMatchObject({
      message: expect.stringContaining('is already mounted on /proc'),
      hint: 'to unmount the directory: fleet mount -u /proc',
    })
  },
)
