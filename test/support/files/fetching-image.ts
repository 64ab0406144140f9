// Resolves a disk image, which is downloaded if it is missing, and prints its path. Arguments: FOLDER IMAGE.
import { openDiskImages } from '../../../src/disk-images/disk-images.ts'
import { readTar } from '../../../src/operations/copy/archive/read-tar.ts'

const [folder = '', image = ''] = process.argv.slice(2)
const call = { signal: new AbortController().signal, progress: () => {} }
const disk = await openDiskImages(folder, readTar).resolve(image, { arch: 'amd64', folder }, call)
process.stdout.write(`${disk.path}\n`)
