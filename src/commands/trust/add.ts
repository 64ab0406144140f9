import type { TrustSubject } from '../../operations/trust/trust-driver.ts'
import { counted } from '../../ui/human-units.ts'
import { writeJson } from '../../ui/table.ts'
import { any, defineCommand } from '../command.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'

const describe = ({ driver, version, folder, files, dependencies, digest }: TrustSubject): string =>
  `fleet-driver-${driver}${version === undefined ? '' : ` ${version}`} in ${folder}: ${counted(files, 'file')}, ${dependencies === 1 ? '1 dependency' : `${dependencies} dependencies`}, ${digest}\n`

export const trustAdd = defineCommand({
  name: 'add',
  summary: 'Trust driver packages shipped with the inventory',
  description:
    'Trust drivers that are shipped with the inventory as npm packages in its directory. For this inventory, their code may then run with your permissions until any file in the package or its dependencies changes. Without names, fleet shows all such drivers that the inventory uses, and trusts them after you confirm. Drivers that are installed globally are always trusted.',
  arguments: { names: any('names', 'driver names', 'driver') },
  options: { yes: yesOption },
  answers: 'json',
  examples: ['fleet trust acme', 'fleet trust ls', 'fleet trust rm acme'],
  async run({ fleet, io, args, options, format }) {
    const { readTrustSubjects, trustDrivers } =
      await import('../../operations/trust/trust-driver.ts')
    const subjects = await readTrustSubjects(fleet, args.names)
    const preface = subjects.map(describe).join('')
    if (subjects.length === 0)
      io.stderr.write('this inventory uses no drivers that need to be trusted\n')
    else if (args.names.length === 0) {
      await requireConsent(
        io,
        options.yes,
        'Trust this code to run with your permissions?',
        preface,
      )
    } else io.stderr.write(preface)
    if (subjects.length > 0) await trustDrivers(fleet, subjects)
    if (format.json) writeJson(io, subjects)
    else if (subjects.length > 0) {
      const names = subjects.map(({ driver }) => driver).join(', ')
      io.stderr.write(`trusted for ${(await fleet.inventory()).location}: ${names}\n`)
    }
  },
})
