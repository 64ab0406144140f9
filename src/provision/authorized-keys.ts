/** A key to let in, `TYPE BASE64`, and who holds it. */
export interface LetIn {
  readonly name: string
  readonly key: string
}

/** The lines around the keys that the fleet of this id lets in; all other lines are not fleet's. */
const markersOf = (fleet: string): readonly [begin: string, end: string] => [
  `# fleet ${fleet} operators: begin`,
  `# fleet ${fleet} operators: end`,
]

const locate = (fleet: string): string => {
  const [begin, end] = markersOf(fleet)
  return String.raw`set -eu
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
begin='${begin}'
end='${end}'
file=$HOME/.ssh/authorized_keys
[ ! -L "$file" ] || file=$(readlink -f "$file")
before=$file.fleet-before
`
}

/** Prints the keys that the fleet of this id lets in, for {@link parseLetIn}. Changes nothing. For `sh`. */
export const showLetIn = (fleet: string): string => String.raw`${locate(fleet)}
[ ! -f "$file" ] || awk -v begin="$begin" -v end="$end" '
  $0 == begin { inside = 1; next }
  $0 == end { inside = 0 }
  inside { print "fleet key=" $0 }
' "$file"
`

/** Reads what {@link showLetIn} printed. */
export const parseLetIn = (said: string): readonly LetIn[] =>
  Array.from(said.matchAll(/^fleet key=(\S+ \S+)(?: (.*))?$/gm), ([, key = '', name = '']) => ({
    name,
    key,
  }))

/**
 * Makes the block of the fleet of this id have these keys, or go, in one rename; every other line stays. What was there
 * before is kept beside, for {@link undoLetIn}, until {@link keepLetIn}. A block that lost its end is taken for other
 * lines. For `sh`.
 */
export function letIn(fleet: string, keys: readonly LetIn[]): string {
  const lines = keys.map(({ key, name }) => `${key} ${name}`)
  const [begin, end] = markersOf(fleet)
  const block = keys.length === 0 ? [] : [begin, ...lines, end]
  return String.raw`${locate(fleet)}
umask 077
mkdir -p "$(dirname "$file")"
[ -f "$file" ] || : >"$file"
cp -p "$file" "$before"
cp -p "$file" "$file.fleet-new"
{
  awk -v begin="$begin" -v end="$end" '
    !inside && $0 == begin { inside = 1; held = $0; next }
    inside && $0 == end { inside = 0; next }
    inside { held = held "\n" $0; next }
    { print }
    END { if (inside) print held }
  ' "$before"
${block.map((line) => `  echo '${line}'\n`).join('')}} >"$file.fleet-new"
sync
mv "$file.fleet-new" "$file"
! command -v restorecon >/dev/null 2>&1 || restorecon "$file"
`
}

/** Brings back what {@link letIn} changed. For `sh`. */
export const undoLetIn = (fleet: string): string => `${locate(fleet)}mv "$before" "$file"\n`

/** Makes what {@link letIn} changed last. For `sh`. */
export const keepLetIn = (fleet: string): string => `${locate(fleet)}rm -f "$before"\n`
