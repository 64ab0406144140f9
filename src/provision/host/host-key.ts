/**
 * A command that becomes root and runs the script on standard input, with the address and port of
 * sshd as arguments.
 */
export const asRoot: readonly string[] = [
  'sh',
  '-c',
  'set -- $SSH_CONNECTION; [ "$(id -u)" = 0 ] || exec sudo -n sh -s "$3" "$4"; exec sh -s "$3" "$4"',
]

const functions = String.raw`set -eu
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
key=/etc/ssh/ssh_host_ed25519_key
staged=/etc/ssh/.fleet_host_ed25519_key
public() { ssh-keygen -y -f "$1" </dev/null | cut -d' ' -f1-2; }
reload() { # keeps connections; a socket-activated sshd has nothing to reload
  if [ -d /run/systemd/system ]; then
    for unit in ssh sshd; do
      ! systemctl is-active --quiet $unit.service || systemctl reload $unit.service
    done
  elif [ -e /run/openrc/softlevel ]; then rc-service sshd reload
  else kill -HUP "$(cat /run/sshd.pid)"
  fi
}
shows() { # PUBLIC-KEY ADDRESS PORT: whether sshd uses the key; assumed if ssh-keyscan is missing
  command -v ssh-keyscan >/dev/null 2>&1 || return 0
  tries=0
  until [ "$(ssh-keyscan -T 5 -t ed25519 -p "$3" "$2" 2>/dev/null | cut -d' ' -f2-3)" = "$1" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 20 ]; then echo "sshd does not present the key in $key" >&2; return 1; fi
    sleep 0.5
  done
}
`

/**
 * A script that generates a new host key, or reuses the key from an interrupted attempt, and prints the public keys of
 * the current and the new key. Makes no other changes, except that sshd loads a key that an interrupted attempt
 * installed.
 */
export const stageHostKey = String.raw`${functions}
reload
shows "$(public $key)" "$@"
if [ -z "$(public $staged 2>/dev/null)" ]; then
  rm -f $staged $staged.pub
  ssh-keygen -q -t ed25519 -N '' -C "$(uname -n)" -f $staged </dev/null
fi
echo "fleet old=$(public $key)"
echo "fleet new=$(public $staged)"
`

/**
 * A script that replaces the host key, deletes host keys of other types, and overwrites cloud-init's copies of the old
 * key. After each step sshd uses either the old or the new key. The provider still has the old key, which is useless
 * afterwards.
 */
export const installHostKey = String.raw`${functions}
new=$(public $staged)
ssh-keygen -y -f $staged >$staged.pub </dev/null
chmod 644 $staged.pub
sync
rm -f $key.pub # sshd rejects a private key next to a different public key
mv $staged $key
mv $staged.pub $key.pub
! command -v restorecon >/dev/null 2>&1 || restorecon $key $key.pub
rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key* /etc/ssh/ssh_host_dsa_key*
sync
reload
shows "$new" "$@"
for kept in /var/lib/cloud/instances/*/user-data.txt* /var/lib/cloud/instances/*/cloud-config.txt; do
  [ ! -f "$kept" ] || : >"$kept"
done
rm -f /var/lib/cloud/instances/*/obj.pkl # a cache of these files: cloud-init asks the provider again
`
