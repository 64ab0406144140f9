/** What the drivers add to a machine's configuration, with secrets that must go nowhere. */
const drivers: Readonly<Record<string, readonly [driver: string, fields: object]>> = {
  cloud: [
    'amazonec2',
    {
      ...{ IPAddress: '203.0.113.10', SSHUser: 'ubuntu', SSHPort: 22, Region: 'eu-west-1' },
      ...{ AccessKey: `AKIA${'A'.repeat(16)}`, SecretKey: 'hunter2', InstanceId: 'i-0a1b2c3d' },
    },
  ],
  sky: [
    'azure',
    {
      ...{ IPAddress: '203.0.113.11', SSHUser: 'docker-user', SSHPort: 22 },
      ...{ ClientID: 'x', ClientSecret: 'hunter2', SubscriptionID: 'y', ResourceGroup: 'g' },
    },
  ],
  vm: [
    'virtualbox',
    { IPAddress: '192.168.99.100', SSHUser: 'docker', SSHPort: 50_858, CPU: 1, Memory: 1024 },
  ],
  iron: [
    'generic',
    { IPAddress: '203.0.113.12', SSHUser: 'ana', SSHPort: 2222, SSHKey: '/home/ana/.ssh/id_rsa' },
  ],
  drop: ['digitalocean', { IPAddress: '203.0.113.13', AccessToken: 'hunter2', DropletID: 7 }],
  gone: ['none', { IPAddress: '', URL: 'tcp://203.0.113.9:2376' }],
}

/**
 * The config.json of machines as Docker Machine wrote them in a version of its format: 1 names the authority's key
 * PrivateKeyPath, 2 nests what all drivers share in BaseDriver where a driver embeds it, 3 adds Name and StorePath.
 */
export function dockerMachineConfigs(version: 1 | 2 | 3): Readonly<Record<string, object>> {
  return Object.fromEntries(
    Object.entries(drivers).map(([name, [driver, fields]]) => {
      const place = `/Users/ana/.docker/machine/machines/${name}`
      const base = { MachineName: name, SwarmMaster: false, SwarmHost: 'tcp://0.0.0.0:3376' }
      const auth = {
        CaCertPath: '/Users/ana/.docker/machine/certs/ca.pem',
        [version === 1 ? 'PrivateKeyPath' : 'CaPrivateKeyPath']: '/Users/ana/certs/ca-key.pem',
      }
      const { IPAddress, ...rest } = fields as { IPAddress: string }
      const own =
        version === 2
          ? { BaseDriver: { ...base, IPAddress }, ...rest }
          : { ...base, ...fields, ...(version === 3 && { SSHKeyPath: `${place}/id_rsa` }) }
      return [
        name,
        {
          ConfigVersion: version,
          DriverName: driver,
          Driver: own,
          HostOptions: { Driver: '', Memory: 0, Disk: 0, AuthOptions: auth, EngineOptions: {} },
          ...(version === 3 ? { Name: name } : { StorePath: place }),
        },
      ]
    }),
  )
}
