import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openFileInventory } from '../../src/state/inventory/file-inventory.ts'
import { writeNewInventory } from '../../src/state/inventory/init-inventory.ts'
import { openMemoryInventory } from '../support/inventory/memory-inventory.ts'
import { describeInventoryStore } from './inventory-store.ts'

const folders: string[] = []

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true })
})

const openIn = (text: string) => async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-inventory-'))
  folders.push(folder)
  const file = join(folder, 'machines.yaml')
  await writeFile(file, text)
  return openFileInventory(file, {
    loadOptions: async () => ({ optionsOf: () => undefined }),
  })
}

describeInventoryStore('in memory', async () => openMemoryInventory())
describeInventoryStore('as fleet init writes it', openIn(writeNewInventory('4f0c2f6e')))
describeInventoryStore('of two lines', openIn('version: 1\nid: 4f0c2f6e'))
describeInventoryStore('in JSON', openIn('{"version": 1, "id": "4f0c2f6e", "machines": {}}\n'))
describeInventoryStore('of Windows', openIn('\uFEFFversion: 1\r\nid: 4f0c2f6e\r\nmachines:\r\n'))
