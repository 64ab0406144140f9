import { shellQuote } from '../../os/shell-quote.ts'

/** A key to let in, `TYPE BASE64`, and who holds it. */
export interface AuthorizedKey {
  readonly name: string
  readonly key: string
}

/** What a host lets in, as far as it concerns the operators of a fleet. */
export interface KeysThere {
  /** The keys in the fleet's block. */
  readonly block: readonly AuthorizedKey[]
  /** Those of them that other lines let in too, such as what cloud-init or a person wrote. */
  readonly outside: ReadonlySet<string>
}

/** The lines around the keys that the fleet of this id lets in; all other lines are not fleet's. */
const markersOf = (fleet: string): readonly [begin: string, end: string] => [
  `# fleet ${fleet} operators: begin`,
  `# fleet ${fleet} operators: end`,
]

/** sshd reads both files, unless it is configured otherwise; fleet writes to the first alone. */
const locate = (fleet: string): string => {
  const [begin, end] = markersOf(fleet)
  return String.raw`set -eu
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
begin='${begin}'
end='${end}'
file=$HOME/.ssh/authorized_keys
second=$HOME/.ssh/authorized_keys2
[ ! -L "$file" ] || file=$(readlink -f "$file")
[ ! -L "$second" ] || second=$(readlink -f "$second")
`
}

/**
 * Functions of awk. `blockEnd` gives the last line of the block that begins with a line: of this fleet or another one; 0
 * for any other line, and for a block that lost its end. `keyIn` gives the first key of a line that is in `keys`,
 * whatever options stand before it.
 */
const functions = String.raw`
  function blockEnd(i,    last, j) {
    if (line[i] !~ /^# fleet [0-9A-Za-z._-]+ operators: begin$/) return 0
    last = line[i]; sub(/begin$/, "end", last)
    for (j = i + 1; j <= NR; j++) if (line[j] == last) return j
    return 0
  }
  function keyIn(text, keys,    fields, n, i) {
    if (text ~ /^[ \t]*#/) return ""
    sub(/\r$/, "", text)
    n = split(text, fields, /[ \t]+/)
    for (i = 1; i < n; i++) if ((fields[i] " " fields[i + 1]) in keys) return fields[i] " " fields[i + 1]
    return ""
  }
  { line[NR] = $0 }`

/** Prints the keys that the fleet of this id lets in, for {@link parseLetIn}. Changes nothing. For `sh`. */
export const showLetIn = (fleet: string): string => String.raw`${locate(fleet)}
set --
for one in "$file" "$second"; do [ ! -f "$one" ] || set -- "$@" "$one"; done
[ $# = 0 ] || awk -v begin="$begin" '${functions}
  END {
    for (i = 1; i <= NR; i++) if (line[i] == begin && (last = blockEnd(i))) {
      for (i++; i < last; i++) {
        print "fleet key=" line[i]
        split(line[i], fields, " "); keys[fields[1] " " fields[2]] = 1
      }
    }
    for (i = 1; i <= NR; i++) {
      if ((last = blockEnd(i))) i = last
      else if ((key = keyIn(line[i], keys)) != "") print "fleet outside=" key
    }
  }' "$@"
`

/** Reads what {@link showLetIn} printed. */
export function parseLetIn(printed: string): KeysThere {
  const block = Array.from(
    printed.matchAll(/^fleet key=(\S+ \S+)(?: (.*))?$/gm),
    ([, key = '', name = '']) => ({ name, key }),
  )
  const outside = Array.from(printed.matchAll(/^fleet outside=(\S+ \S+)$/gm), ([, key = '']) => key)
  return { block, outside: new Set(outside) }
}

/** What a host is to let in. */
export interface LetInChange {
  /** All that the fleet's block is to have. */
  readonly keys: readonly AuthorizedKey[]
  /** Keys that no line outside of any fleet's block is to let in any more, `TYPE BASE64`. */
  readonly revoked?: readonly string[]
}

/**
 * Makes the block of the fleet of this id have these keys, or go, and takes away lines elsewhere that let revoked keys in,
 * in one rename for each file; every other line stays, the blocks of other fleets too. What was there before is kept
 * beside, for {@link rollbackAuthorizedKeys}, until {@link commitAuthorizedKeys}. A block that lost its end is taken for other lines. For `sh`.
 */
export function installAuthorizedKeys(fleet: string, { keys, revoked = [] }: LetInChange): string {
  const lines = keys.map(({ key, name }) => `${key} ${name}`)
  const [begin, end] = markersOf(fleet)
  const block = keys.length === 0 ? [] : [begin, ...lines, end]
  return String.raw`${locate(fleet)}
umask 077
revoked=${shellQuote(revoked.join('\n'))}
export revoked
others() {
  awk -v begin="$begin" '${functions}
    END {
      n = split(ENVIRON["revoked"], list, "\n")
      for (i = 1; i <= n; i++) keys[list[i]] = 1
      for (i = 1; i <= NR; i++) {
        if ((last = blockEnd(i))) {
          if (line[i] != begin) for (j = i; j <= last; j++) print line[j]
          i = last
        } else if (keyIn(line[i], keys) == "") print line[i]
      }
    }' "$1"
}
keep() {
  cp -p "$1" "$1.fleet-before"
  cp -p "$1" "$1.fleet-new"
}
replace() {
  sync
  mv "$1.fleet-new" "$1"
  ! command -v restorecon >/dev/null 2>&1 || restorecon "$1"
}
mkdir -p "$(dirname "$file")"
[ -f "$file" ] || : >"$file"
keep "$file"
{
  others "$file"
${block.map((line) => `  printf '%s\\n' ${shellQuote(line)}\n`).join('')}} >"$file.fleet-new"
replace "$file"
if [ -n "$revoked" ] && [ -f "$second" ]; then
  keep "$second"
  others "$second" >"$second.fleet-new"
  replace "$second"
fi
`
}

/** Brings back what {@link installAuthorizedKeys} changed. For `sh`. */
export const rollbackAuthorizedKeys = (fleet: string): string => String.raw`${locate(fleet)}
for one in "$file" "$second"; do [ ! -f "$one.fleet-before" ] || mv "$one.fleet-before" "$one"; done
`

/** Makes what {@link installAuthorizedKeys} changed last. For `sh`. */
export const commitAuthorizedKeys = (fleet: string): string =>
  `${locate(fleet)}rm -f "$file.fleet-before" "$second.fleet-before"\n`
