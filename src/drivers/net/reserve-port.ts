import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '../../errors.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { withLock } from '../../os/lock.ts'
import { chooseLoopbackPort } from './loopback-port.ts'

type Ports = Readonly<Record<string, number>>

async function readPorts(file: string): Promise<Ports> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Ports
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {}
    throw error
  }
}

async function writePorts(file: string, ports: Ports): Promise<void> {
  await replaceFile(file, JSON.stringify(ports), { mode: 0o600 })
}

/**
 * Reserves a port on 127.0.0.1 for the host with this token: the host's port in `file`, or else a free port that `file`
 * does not assign to another host.
 */
export async function reservePort(file: string, token: string): Promise<number> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  return withLock(file, async () => {
    const ports = await readPorts(file)
    const known = ports[token]
    if (known !== undefined) return known
    const port = await chooseLoopbackPort(new Set(Object.values(ports)))
    await writePorts(file, { ...ports, [token]: port })
    return port
  })
}

/** Releases the port that is reserved for the host with this token. */
export async function releasePort(file: string, token: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await withLock(file, async () => {
    const { [token]: gone, ...ports } = await readPorts(file)
    if (gone !== undefined) await writePorts(file, ports)
  })
}
