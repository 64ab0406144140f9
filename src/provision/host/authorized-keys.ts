import { shellQuote } from '../../os/shell-quote.ts'

/** A key to authorize, `TYPE BASE64`, and the name of its owner. */
export interface AuthorizedKey {
  readonly name: string
  readonly key: string
}

/** The operators' keys that a host authorizes. */
export interface AuthorizedKeys {
  /** The keys in the fleet's block. */
  readonly block: readonly AuthorizedKey[]
  /** The keys that are also in other lines, such as lines that cloud-init or a user added. */
  readonly elsewhere: ReadonlySet<string>
}

/** Returns the marker lines around the keys of the fleet with this id. fleet does not change other lines. */
const markersOf = (fleet: string): readonly [begin: string, end: string] => [
  `# fleet ${fleet} operators: begin`,
  `# fleet ${fleet} operators: end`,
]

/**
 * Returns the common beginning of all scripts. By default, sshd reads both files that the scripts locate; fleet adds
 * keys only to the first.
 */
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
 * Functions for awk. If a block of any fleet starts in a line, `blockEnd` returns the number of the block's last line;
 * it returns 0 for other lines, and for a block without an end marker. `keyIn` returns the first key in a line that is
 * also in `keys`; any options before the key are skipped.
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

/**
 * Returns a `sh` script that prints the keys authorized by the fleet with this id, for {@link parseAuthorizedKeys}. The
 * script does not change anything.
 */
export const listAuthorizedKeys = (fleet: string): string => String.raw`${locate(fleet)}
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

/** Parses the output of {@link listAuthorizedKeys}. */
export function parseAuthorizedKeys(printed: string): AuthorizedKeys {
  const block = Array.from(
    printed.matchAll(/^fleet key=(\S+ \S+)(?: (.*))?$/gm),
    ([, key = '', name = '']) => ({ name, key }),
  )
  const outside = Array.from(printed.matchAll(/^fleet outside=(\S+ \S+)$/gm), ([, key = '']) => key)
  return { block, elsewhere: new Set(outside) }
}

/** A change to authorized keys. */
export interface AuthorizedKeysChange {
  /** All keys for the fleet's block. */
  readonly keys: readonly AuthorizedKey[]
  /** Keys to remove from lines outside of all fleets' blocks, `TYPE BASE64`. */
  readonly revoked?: readonly string[]
}

/**
 * Returns a `sh` script that replaces or removes the block of the fleet with this id, and removes lines with revoked
 * keys outside of all blocks. Each file is replaced by one rename. All other lines and the blocks of other fleets are
 * kept. The old files are kept for {@link rollbackAuthorizedKeys} until {@link commitAuthorizedKeys} runs. If the
 * script fails, as on a full disk, it restores them. Lines of a block without an end marker are treated like lines
 * outside of blocks.
 */
export function installAuthorizedKeys(
  fleet: string,
  { keys, revoked = [] }: AuthorizedKeysChange,
): string {
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
created=
undo() {
  for one in "$file" "$second"; do
    rm -f "$one.fleet-new"
    [ ! -f "$one.fleet-before" ] || mv "$one.fleet-before" "$one"
  done
  [ -z "$created" ] || rm -f "$file"
}
keep() {
  cp -p "$1" "$1.fleet-new"
  mv "$1.fleet-new" "$1.fleet-before" # it is never there in part
  cp -p "$1" "$1.fleet-new"
}
replace() {
  sync
  mv "$1.fleet-new" "$1"
  ! command -v restorecon >/dev/null 2>&1 || restorecon "$1"
}
mkdir -p "$(dirname "$file")"
rm -f "$file.fleet-before" "$second.fleet-before"
trap undo EXIT
[ -f "$file" ] || { created=yes; : >"$file"; }
keep "$file"
{
  others "$file"
  {
    :
${block.map((line) => `    printf '%s\\n' ${shellQuote(line)}\n`).join('')}  } | cat # names a full disk
} >"$file.fleet-new"
replace "$file"
if [ -n "$revoked" ] && [ -f "$second" ]; then
  keep "$second"
  others "$second" >"$second.fleet-new"
  replace "$second"
fi
trap - EXIT
`
}

/** Returns a `sh` script that reverts {@link installAuthorizedKeys}. */
export const rollbackAuthorizedKeys = (fleet: string): string => String.raw`${locate(fleet)}
for one in "$file" "$second"; do [ ! -f "$one.fleet-before" ] || mv "$one.fleet-before" "$one"; done
`

/** Returns a `sh` script that makes the changes of {@link installAuthorizedKeys} permanent. */
export const commitAuthorizedKeys = (fleet: string): string =>
  `${locate(fleet)}rm -f "$file.fleet-before" "$second.fleet-before"\n`
