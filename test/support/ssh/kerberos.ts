import { randomBytes } from 'node:crypto'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cachedFolder } from '../files/cached-folder.ts'
import { findFreePort } from '../free-port.ts'
import { unpackPackages } from '../files/unpack-packages.ts'
import type { LabHost } from '../lab/host.ts'
import { runProgram, spawnTied, until } from '../lab/process.ts'

const packages = {
  ofThisRelease:
    `krb5-kdc krb5-admin-server krb5-user libgssrpc4 libkadm5clnt-mit12 libkadm5srv-mit12 libkdb5-10
    libverto1 libverto-libev1 libev4 libkrb5-3 libgssapi-krb5-2 libk5crypto3 libkrb5support0 libss2`.split(
      /\s+/,
    ),
} as const

const realm = 'LAB.TEST'

/** A Kerberos realm with a key distribution center on loopback. */
export interface KerberosRealm extends Disposable {
  /** The directory of kinit, klist and kdestroy. */
  readonly programs: string
  /** Environment variables for a user's programs: the realm, and a separate ticket cache. */
  readonly env: Readonly<Record<string, string>>
  /** Gets a ticket for a user of the realm, as kinit(1) does. */
  logIn(user: string): Promise<void>
  /** Removes all tickets. */
  logOut(): Promise<void>
  /** Adds a host to the realm, with an sshd that accepts tickets. */
  join(host: LabHost): Promise<void>
}

/** Resolves to Debian's library directory, whose name depends on the architecture. */
async function libraryFolder(unpacked: string): Promise<string> {
  const folder = join(unpacked, 'root/usr/lib')
  for (const name of await readdir(folder))
    if (name.endsWith('-linux-gnu')) return join(folder, name)
  throw new Error(`no libraries in ${folder}`)
}

const clientSettings = (port: number, database: string) => `[libdefaults]
default_realm = ${realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
${realm} = {
  kdc = 127.0.0.1:${port}
}
[dbmodules]
db_module_dir = ${database}
`

/** Starts MIT Kerberos (Debian packages, 1 MB, downloaded on first use) in `folder`, with the given users. */
export async function startKerberos(
  folder: string,
  users: readonly string[],
): Promise<KerberosRealm> {
  const unpacked = await cachedFolder('kerberos', packages, (place) =>
    unpackPackages(place, packages),
  )
  const libraries = await libraryFolder(unpacked)
  const port = await findFreePort()
  await mkdir(folder, { recursive: true })
  const at = (name: string) => join(folder, name)
  const settings = clientSettings(port, join(libraries, 'krb5/plugins/kdb'))
  await writeFile(at('krb5.conf'), settings)
  await writeFile(
    at('kdc.conf'),
    `[kdcdefaults]
kdc_listen = 127.0.0.1:${port}
kdc_tcp_listen = 127.0.0.1:${port}
[realms]
${realm} = {
  database_name = ${at('principal')}
  key_stash_file = ${at('stash')}
}
`,
  )
  const programs = join(unpacked, 'root/usr/bin')
  const env = { KRB5_CONFIG: at('krb5.conf'), KRB5CCNAME: `FILE:${at('tickets')}` }
  const own = Object.entries({
    ...env,
    KRB5_KDC_PROFILE: at('kdc.conf'),
    LD_LIBRARY_PATH: libraries,
  }).map(([name, value]) => `${name}=${value}`)
  const tool = (name: string, ...words: readonly string[]): [string, ...string[]] => [
    'env',
    ...own,
    join(unpacked, 'root/usr', name),
    ...words,
  ]
  const secret = randomBytes(16).toString('hex')
  const administer = (query: string) => runProgram(tool('sbin/kadmin.local', '-q', query))
  await runProgram(tool('sbin/kdb5_util', 'create', '-s', '-r', realm, '-P', secret))
  for (const user of users) await administer(`addprinc -pw ${secret} ${user}`)
  const centre = spawnTied(tool('sbin/krb5kdc', '-n'), { stdio: 'ignore' })
  return {
    programs,
    env,
    async logIn(user) {
      await until('the key distribution centre to answer', () =>
        runProgram(tool('bin/kinit', user), `${secret}\n`).then(
          () => true,
          () => undefined,
        ),
      )
    },
    async logOut() {
      await runProgram(tool('bin/kdestroy', '-A'))
    },
    async join(host) {
      const [principal, keytab] = [`host/${host.address}`, at(`${host.name}.keytab`)]
      await administer(`addprinc -randkey ${principal}`)
      await administer(`ktadd -k ${keytab} ${principal}`)
      const key = await readFile(keytab, 'base64')
      await host.exec(`echo ${key} | base64 -d > /etc/krb5.keytab; chmod 600 /etc/krb5.keytab
        printf '%s' '${settings}' > /etc/krb5.conf
        printf '%s\\n' 'GSSAPIAuthentication yes' 'GSSAPIStrictAcceptorCheck no' >> /etc/ssh/sshd_config
        kill -HUP "$(cat /run/sshd.pid)"`)
    },
    [Symbol.dispose]: () => void centre.kill(),
  }
}
