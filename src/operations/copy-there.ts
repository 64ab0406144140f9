import { posix } from 'node:path'
import { UserError } from '../errors.ts'
import { run } from '../transport/run.ts'
import { type Found, type Side, longFile } from './copy-side.ts'
import { openHostFolder } from './host-folder.ts'
import { type Host, packOnHost, unpackOnHost } from './host-tree.ts'

/** Prints what a path leads to: its sort, its folder without links, its name, what it is without links, whether it is long. */
const lookAt = `
physical() { (cd -- "$1" 2>/dev/null && pwd -P && printf .); }
path=$1 name=$2 long=
folder=$(physical "$path") || exit 44
folder=\${folder%??}
case $name in
  '') name=\${folder##*/} folder=\${folder%/*} path=\${folder:-/}/$name ;;
  *) path=\${folder%/}/$name ;;
esac
real=
if [ -d "$path" ]; then
  sort=folder; [ -L "$path" ] && sort='link to a folder'
  real=$(physical "$path") || { echo "$path: Permission denied" >&2; exit 1; }
  real=\${real%??}
elif [ -e "$path" ] || [ -L "$path" ]; then
  sort=file
  long=$(find "$path" -prune -size +${longFile / 512} 2>/dev/null)
else sort=absent; fi
printf '%s\\0' "$sort" "\${folder:-/}" "$name" "$real" "\${long:+long}"
`

const noFolder = 44

/** Moves or merges what has arrived. */
const settleThere = {
  move: 'mv -f -- "$1" "$2"',
  merge: 'cp -RPp -- "$1/." "$2"',
}

/** A path as fleet's scripts take it: a word that no program mistakes for a flag, below home if relative. */
const plainPath = (path: string): string => {
  const fromHome = path.replace(/^~(?=\/|$)/, '.')
  return fromHome.startsWith('/') ? fromHome : `./${fromHome}`
}

/** Whether the last name of a path is no name of its own but stands for a folder. */
const isUnnamed = (path: string): boolean => /(?:^|\/)\.{0,2}$/.test(path)

/** The files of a host. Relative paths are below the home of the user that fleet logs in as. */
export function openSideThere(host: Host): Side {
  const { name: machine, transport } = host
  const failed = (message: string) => new UserError('failed', message, { machine })

  async function look(typed: string): Promise<Found> {
    const path = plainPath(typed).replace(/(?<=[^/])\/+$/, '')
    const [above, last] = isUnnamed(path) ? [path, ''] : [posix.dirname(path), posix.basename(path)]
    const words = ['sh', '-c', lookAt, 'fleet', above, last]
    const { code, stdout, stderr } = await run(transport, words)
    if (code === noFolder) throw failed(`there is no folder ${above}, or it may not be entered`)
    if (code !== 0) throw failed(stderr.trim())
    const [sort, folder = '', name = '', real = '', long = ''] = stdout.split('\0')
    return {
      sort: sort as Found['sort'],
      folder,
      name,
      real: real === '' ? undefined : real,
      isLong: long !== '',
    }
  }

  return {
    machine,
    look,
    read: (folder, name) => packOnHost(host, folder, name),
    async land(folder) {
      const stage = await openHostFolder(host, { under: folder })
      return {
        fill: (archive) => unpackOnHost(host, archive, stage.path),
        async settle(name, target, how) {
          const from = `${stage.path}/${name}`
          const words = ['sh', '-c', settleThere[how], 'fleet', from, target]
          const { code, stderr } = await run(transport, words)
          if (code !== 0) throw failed(`cannot write ${target}: ${stderr.trim()}`)
        },
        [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
      }
    },
  }
}
