import { Writable } from 'node:stream'
import type { Io } from './io.ts'
import { Output } from './output.ts'
import { Screen, clearScreen } from './progress/screen.ts'
import { Styled, compose } from './styled.ts'

/** Holds back what is written to stdout, so that a whole screen changes at once. */
export function holdPage(io: Io): { readonly held: Io; readonly show: () => void } {
  let page = ''
  const collector = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      page += chunk
      done()
    },
  })
  const { isTTY, columns } = io.stdout
  const look = columns === undefined ? { isTTY } : { isTTY, columns }
  const stdout = new Output(Object.assign(collector, look), new Screen())
  return {
    held: { ...io, stdout },
    show: () => io.stdout.write(compose`${clearScreen}${new Styled(page)}`),
  }
}
