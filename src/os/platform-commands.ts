/** Returns the command line for this computer's operating system, for use in hints. */
const forPlatform = (lines: Readonly<Record<'darwin' | 'win32' | 'linux', string>>): string =>
  process.platform === 'darwin' || process.platform === 'win32'
    ? lines[process.platform]
    : lines.linux

/** Starts an SSH agent and adds the keys in ~/.ssh to it. */
export const startAgent = forPlatform({
  linux: 'eval "$(ssh-agent)" && ssh-add',
  darwin: 'eval "$(ssh-agent)" && ssh-add',
  win32: 'Start-Service ssh-agent; ssh-add', // PowerShell
})

/** Sets the clock of this computer from a time server. */
export const setClock = forPlatform({
  linux: 'sudo timedatectl set-ntp true',
  darwin: 'sudo sntp -sS time.apple.com',
  win32: 'w32tm /resync',
})

/** Lowers the MTU of a network device of this computer, so that its packets fit through most tunnels. */
export const lowerMtu = forPlatform({
  linux: 'sudo ip link set dev DEVICE mtu 1280',
  darwin: 'sudo ifconfig DEVICE mtu 1280',
  win32: 'netsh interface ipv4 set subinterface DEVICE mtu=1280',
})
