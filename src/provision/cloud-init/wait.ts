import { bootScriptLog, bootScriptName } from './boot-script.ts'
import { findSudo } from '../../os/find-sudo.ts'
import { traceError } from '../../os/trace.ts'

/** How long the first boot of a host may take, in seconds. */
export const cloudInitTimeout = 900

/** The number of log lines to include in an error. */
const quotedLines = 15

/**
 * A POSIX script for `sh -s` that prints the input of {@link readCloudInit}. With the argument
 * `wait` it waits until cloud-init is done, according to cloud-init's own files: `cloud-init status
 * --wait` prints no progress, and old versions return too early.
 */
export const cloudInitScript = String.raw`
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
${findSudo}
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
  if [ $waited -ge ${cloudInitTimeout} ]; then echo 'fleet late=yes'; break; fi
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

/** The result of cloud-init. */
export interface CloudInitResult {
  /** Whether the timeout expired before cloud-init was done. */
  readonly timedOut: boolean
  /** Errors with the module and the exception, except those that cloud-init recovered from. */
  readonly errors: readonly string[]
  /** Whether fleet's boot script is on the host. */
  readonly hasBootScript: boolean
  /** The last lines of the log of fleet's script, or of cloud-init's log if there is no script log. */
  readonly lines: readonly string[]
}

/** Progress of the script, or its result. */
export type CloudInitState =
  | { readonly stage: string }
  | { readonly line: string }
  | { readonly result: CloudInitResult }

const keyAndValue = /^fleet ([a-z]+)=(.*)$/

/**
 * Parses the lines that {@link cloudInitScript} prints, as they arrive. Control characters are removed, because the
 * lines are shown on a terminal.
 */
export async function* readCloudInit(lines: AsyncIterable<string>): AsyncGenerator<CloudInitState> {
  const values = new Map<string, string>()
  const quoted: string[] = []
  for await (const text of lines) {
    const [, key, value = ''] = keyAndValue.exec(text.replaceAll(/\p{Cc}/gu, ' ')) ?? []
    if (key === 'stage') yield { stage: value.trim() }
    else if (key === 'line') yield { line: value.trim() }
    else if (key === 'quote') quoted.push(value)
    else if (key !== undefined) values.set(key, value)
  }
  yield {
    result: {
      timedOut: values.has('late'),
      errors: [
        ...new Set([
          ...(values.has('crashed') ? ["cloud-init's final stage failed to run"] : []),
          ...errorsIn(values.get('result')),
          ...errorsIn(values.get('status')),
        ]),
      ],
      hasBootScript: values.has('script'),
      lines: quoted,
    },
  }
}

/**
 * Returns the errors in result.json, whose `v1` contains the errors of all stages, or in status.json, whose `v1`
 * contains each stage separately.
 */
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
    traceError('provision', 'read the cloud-init status', error)
    return undefined // the file is still being written
  }
}
