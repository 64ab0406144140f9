import { expect, test } from 'vitest'
import { explainFailure } from '../../../../src/transport/ssh/connection-errors.ts'

const endpoint = { machine: 'web-1', address: '192.0.2.1', port: 22, user: 'ana' }

test.each([
  [endpoint, 'ssh -v ana@192.0.2.1'],
  [{ ...endpoint, port: 2222 }, 'ssh -v -p 2222 ana@192.0.2.1'],
  [{ ...endpoint, user: '' }, 'ssh -v 192.0.2.1'],
  [{ ...endpoint, port: 2222, destination: 'web' }, 'ssh -v web'],
  [{ ...endpoint, destination: 'bob@web:2200' }, 'ssh -v -p 2200 bob@web'],
])(
  'the hint for an unknown error of %j has an ssh command that connects in the same way',
  (where, command) => {
    const { error } = explainFailure({ stage: 'login', error: new Error('odd') }, where)
    expect(error).toMatchObject({ hint: `try again; for details: ${command}` })
  },
)

test.each(['ECONNREFUSED', 'ENETUNREACH', 'REFUSED', 'ETIMEDOUT'])(
  'the hint for %s does not end with a period, with or without a machine',
  (code) => {
    const error = Object.assign(new Error('no'), { code })
    const hintOf = (isNew: boolean) =>
      explainFailure({ stage: 'connecting', error }, { ...endpoint, isNew }).error
    expect(hintOf(true)).toMatchObject({ hint: expect.stringMatching(/^check that [^.;]+$/) })
    expect(hintOf(false)).toMatchObject({
      hint: expect.stringMatching(/^check that [^.;]+; to show .*: fleet status web-1$/),
    })
  },
)
