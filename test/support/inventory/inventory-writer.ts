// Writes to an inventory: with the arguments FILE NAME, adds one machine; with only FILE, labels machines endlessly.
import { argv, stdout } from 'node:process'
import { parseMachineName } from '../../../src/machine/name.ts'
import { openFileInventory } from '../../../src/state/inventory/file-inventory.ts'

const [file = '', name] = argv.slice(2)
const store = openFileInventory(file, {
  loadOptions: async () => ({ optionsOf: () => undefined }),
})

if (name !== undefined) {
  await store.update(parseMachineName(name), () => ({ driver: 'ssh', labels: { by: name } }))
} else {
  for (let count = 0; ; count++) {
    await store.update(parseMachineName(`m-${count % 7}`), () => ({
      driver: 'ssh',
      labels: { count: String(count) },
    }))
    stdout.write('.')
  }
}
