// Creates a virtual machine, and is killed with SIGKILL at the given step. Arguments: FOLDER IMAGE TOKEN STEP.
import { qemuDriver } from '../../../src/drivers/qemu/driver.ts'
import { qemuOptions } from '../../../src/drivers/qemu/options.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { seedGuest } from '../small-guest.ts'

const [folder = '', image = '', token = '', fatal] = process.argv.slice(2)
let step = 0
const pass = (): void => {
  step += 1
  if (step === Number(fatal)) process.kill(process.pid, 'SIGKILL')
}
const call = { signal: new AbortController().signal, progress: pass }
const options = qemuOptions.parse({ accelerator: 'tcg', memory: 128, cpus: 1, disk: 1 })
const tags = { 'fleet:id': '11111111', 'fleet:token': token }
const wish = { name: 'crash' as MachineName, token, tags, resources: {} }
const plan = await qemuDriver(folder, process.env).lifecycle?.plan(wish, options, call)
const record = async (): Promise<void> => {
  pass()
  await new Promise((resolve) => setTimeout(resolve, 20))
  pass()
}
await plan?.make({ ...seedGuest(image, plan.user), record }, call)
