import { bootScriptLog, bootScriptName } from './boot-script.ts'
import { traceError } from '../../os/trace.ts'

/** How long a host may take to set itself up after its first boot, in seconds. */
export const cloudInitWait = 900

/** How much of a log an error quotes. */
const quotedLines = 15

/**
 * Prints what {@link readCloudInit} reads; POSIX, for `sh -s`. With the word `wait` it waits until cloud-init is done, of which its own files
 * tell: `cloud-init status --wait` says nothing meanwhile, and old ones return while later stages still run.
 */
export const cloudInitScript = String.raw`
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
sudo=
if [ "$(id -u)" != 0 ] && sudo -n true </dev/null 2>/dev/null; then sudo='sudo -n'; fi
log=/var/log/cloud-init-output.log
state=/run/cloud-init
last() { # LINES FILE
  $sudo tail -c 4096 "$2" 2>/dev/null | tr '\r' '\n' | grep -v -e '^[[:space:]]*$' -e '^ci-info:' | tail -n "$1"
}
json() { tr -d '\n' <"$1"; echo; }
crashed() { systemctl is-failed --quiet cloud-final.service 2>/dev/null; }
waited=0
while [ "$1" = wait ] && [ ! -e $state/result.json ]; do
  if [ $((waited % 6)) = 5 ] && crashed; then echo 'fleet crashed=yes'; break; fi
  if [ $waited -ge ${cloudInitWait} ]; then echo 'fleet late=yes'; break; fi
  if [ $((waited % 3)) = 0 ]; then
    echo "fleet stage=$(sed -n 's/.*"stage": *"\([^"]*\)".*/\1/p' $state/status.json 2>/dev/null)"
    echo "fleet line=$(last 1 $log)"
  fi
  waited=$((waited + 1))
  sleep 1
done
[ -e $state/result.json ] && echo "fleet result=$(json $state/result.json)"
[ -e $state/status.json ] && echo "fleet status=$(json $state/status.json)"
if $sudo test -e /var/lib/cloud/instance/scripts/${bootScriptName}; then
  echo 'fleet script=yes'
  [ -e ${bootScriptLog} ] && log=${bootScriptLog}
fi
last ${quotedLines} $log | sed 's/^/fleet quote=/'
:
`

/** How cloud-init ended. */
export interface CloudInitEnd {
  /** It had not ended when the time was up. */
  readonly late: boolean
  /** What failed, as cloud-init names it: the module and its exception. What it recovered from is not among it. */
  readonly errors: readonly string[]
  /** fleet's script for the engine is on the host. */
  readonly hasBootScript: boolean
  /** The last lines of the log that matters: of fleet's script where there is one. */
  readonly lines: readonly string[]
}

/** Where the script is in its waiting, or that it ended. */
export type CloudInitState =
  | { readonly stage: string }
  | { readonly line: string }
  | { readonly end: CloudInitEnd }

const keyAndValue = /^fleet ([a-z]+)=(.*)$/

/** Reads the lines of {@link cloudInitScript} as they come. What a host says ends up on a terminal: no control characters. */
export async function* readCloudInit(lines: AsyncIterable<string>): AsyncGenerator<CloudInitState> {
  const said = new Map<string, string>()
  const quoted: string[] = []
  for await (const text of lines) {
    const [, key, value = ''] = keyAndValue.exec(text.replaceAll(/\p{Cc}/gu, ' ')) ?? []
    if (key === 'stage') yield { stage: value.trim() }
    else if (key === 'line') yield { line: value.trim() }
    else if (key === 'quote') quoted.push(value)
    else if (key !== undefined) said.set(key, value)
  }
  yield {
    end: {
      late: said.has('late'),
      errors: [
        ...new Set([
          ...(said.has('crashed') ? ['its last stage failed to run'] : []),
          ...errorsIn(said.get('result')),
          ...errorsIn(said.get('status')),
        ]),
      ],
      hasBootScript: said.has('script'),
      lines: quoted,
    },
  }
}

/** result.json has the errors of all stages under `v1`, status.json those of each under its name. */
function errorsIn(text: string | undefined): string[] {
  const file = parse(text)
  const v1 = file?.['v1']
  if (typeof v1 !== 'object' || v1 === null) return []
  return [v1, ...Object.values(v1)].flatMap((part: unknown) => {
    const errors: unknown =
      typeof part === 'object' && part !== null && 'errors' in part ? part.errors : []
    return Array.isArray(errors) ? errors.map(String) : []
  })
}

function parse(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(text ?? '{}') as Record<string, unknown>
  } catch (error) {
    traceError('provision', 'read the status of cloud-init', error)
    return undefined // cut short: it is being written
  }
}
