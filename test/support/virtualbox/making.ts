// Creates a machine in VirtualBox, and is killed with SIGKILL at the given step, if any. Otherwise, powers the machine
// off, because each running machine uses a core. Arguments: FOLDER IMAGE TOKEN STEP.
import { virtualBoxDriver } from '../../../src/drivers/virtualbox/driver.ts'
import { makeGuest, quietCall } from './make-guest.ts'

const [folder = '', image = '', token = '', fatal] = process.argv.slice(2)
let step = 0
const pass = (): void => {
  step += 1
  if (step === Number(fatal)) process.kill(process.pid, 'SIGKILL')
}
const driver = virtualBoxDriver(folder, process.env)
const { facts, record } = await makeGuest(
  driver,
  { image: async () => image },
  {
    token,
    format: 'vmdk',
    call: { ...quietCall, progress: pass },
    async record() {
      pass()
      await new Promise((resolve) => setTimeout(resolve, 20))
      pass()
    },
  },
)
await driver.power?.kill(record, quietCall)
console.log(facts.port)
