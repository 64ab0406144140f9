/** The value of every field in which Docker Machine stores a secret. */
export const secret = 'hunter2'

/** The versions of the format that Docker Machine 0.2 to 0.16 and its forks wrote. */
export type ConfigVersion = 1 | 2 | 3

type Fields = Readonly<Record<string, unknown>>

/** A kind of machine: its driver, and the fields that only this driver has, which depend on the version. */
interface Kind {
  readonly driver: string
  readonly address: string
  readonly fields: (version: ConfigVersion) => Fields
}

const awsFields = (version: ConfigVersion): Fields => ({
  ...{ Id: '0f0e0d0c', AccessKey: `AKIA${'A'.repeat(16)}`, SecretKey: secret },
  ...{ SessionToken: secret, Region: 'eu-west-1', AMI: 'ami-c60b90d1', SSHKeyID: 0 },
  ...{ KeyName: 'cloud', InstanceId: 'i-0a1b2c3d4e5f60718', InstanceType: 't2.micro' },
  ...{ SecurityGroupId: 'sg-1', SecurityGroupName: 'docker-machine', ReservationId: '' },
  ...{ RootSize: 16, VpcId: 'vpc-1', SubnetId: 'subnet-1', Zone: 'a' },
  ...(version === 3 && {
    ...{ ExistingKey: false, PrivateIPAddress: '10.0.0.4', SecurityGroupIds: ['sg-1'] },
    ...{ SecurityGroupNames: ['docker-machine'], OpenPorts: null, Tags: '', VolumeType: 'gp2' },
    ...{ DeviceName: '/dev/sda1', IamInstanceProfile: '', SpotPrice: '0.50', RetryCount: 5 },
    ...{ RequestSpotInstance: false, BlockDurationMinutes: 0, Monitoring: false, Endpoint: '' },
    ...{ PrivateIPOnly: false, UsePrivateIP: false, UseEbsOptimizedInstance: false },
    ...{ SSHPrivateKeyPath: '', DisableSSL: false, UserDataFile: '' },
  }),
})

/**
 * Versions 1 and 2 (up to Docker Machine 0.6) are for Azure's classic deployments, which Azure no longer offers.
 * Version 3 is for Resource Manager, and contains no address.
 */
const azureFields = (version: ConfigVersion): Fields =>
  version < 3
    ? {
        ...{ SubscriptionID: '0a0b0c0d-0000-4000-8000-000000000001', SubscriptionCert: '/c.pem' },
        ...{ PublishSettingsFilePath: '', Location: 'West US', Size: 'Small', UserName: 'ubuntu' },
        ...{ UserPassword: secret, Image: 'b39f__Ubuntu-14_04', DockerPort: 2376 },
      }
    : {
        ...{ ClientID: 'app', ClientSecret: secret, Environment: 'AzurePublicCloud' },
        ...{ SubscriptionID: '0a0b0c0d-0000-4000-8000-000000000001', DockerPort: 2376 },
        ...{ ResourceGroup: 'docker-machine', Location: 'westus', Size: 'Standard_A2' },
        ...{
          Image: 'canonical:UbuntuServer:16.04.0-LTS:latest',
          AvailabilitySet: 'docker-machine',
        },
        ...{ VirtualNetwork: 'docker-machine-vnet', SubnetName: 'docker-machine' },
        ...{ SubnetPrefix: '192.168.0.0/16', StorageType: 'Standard_LRS', OpenPorts: null },
        ...{ PrivateIPAddr: '', UsePrivateIP: false, NoPublicIP: false, DNSLabel: '' },
        ...{ StaticPublicIP: false, CustomDataFile: '' },
      }

const virtualBoxFields = (version: ConfigVersion): Fields => ({
  ...{ CPU: 1, Memory: 1024, DiskSize: 20_000, Boot2DockerURL: '', Boot2DockerImportVM: '' },
  HostOnlyCIDR: '192.168.99.1/24',
  ...(version === 3 && {
    ...{ VBoxManager: {}, HostInterfaces: {}, NatNicType: '82540EM', HostOnlyNicType: '82540EM' },
    ...{ HostOnlyPromiscMode: 'deny', UIType: 'headless', HostOnlyNoDHCP: false, NoShare: false },
    ...{ DNSProxy: true, NoVTXCheck: false, ShareFolder: '' },
  }),
})

const kinds: Readonly<Record<string, Kind>> = {
  cloud: { driver: 'amazonec2', address: '203.0.113.10', fields: awsFields },
  sky: { driver: 'azure', address: '', fields: azureFields },
  vm: { driver: 'virtualbox', address: '192.168.99.100', fields: virtualBoxFields },
  iron: {
    driver: 'generic',
    address: '203.0.113.12',
    fields: () => ({ EnginePort: 2376, SSHKey: '/home/ana/.ssh/id_rsa' }),
  },
  gone: { driver: 'none', address: '', fields: () => ({ URL: 'tcp://203.0.113.9:2376' }) },
}

/** The fields of other drivers of Docker Machine and its forks, including those with secrets. */
const others: Readonly<Record<string, Fields>> = {
  digitalocean: { AccessToken: secret, DropletID: 7, SSHKeyID: 1, Region: 'nyc3' },
  exoscale: { URL: '', ApiKey: secret, ApiSecretKey: secret, InstanceProfile: 'Small' },
  google: { Zone: 'us-central1-a', Project: 'p', MachineType: 'n1-standard-1', AuthTokenPath: '' },
  hetzner: { AccessToken: secret, ServerID: 7, KeyID: 1 },
  linode: { APIToken: secret, RootPassword: secret, InstanceID: 7 },
  openstack: {
    ...{ AuthUrl: 'https://o.example', Username: 'u', Password: secret, TenantName: 't' },
    ...{ ApplicationCredentialSecret: secret, MachineId: 'm', PrivateKeyFile: '', UserData: null },
  },
  rackspace: { AuthUrl: '', Username: 'u', Password: secret, APIKey: secret, MachineId: 'm' },
  softlayer: { Id: 7, Client: { User: 'u', ApiKey: secret, Endpoint: 'https://s.example' } },
  vmwarevsphere: { IP: '10.0.0.1', Username: 'u', Password: secret, SSHPassword: secret },
}

const logins: Readonly<Record<string, Fields>> = {
  amazonec2: { SSHUser: 'ubuntu', SSHPort: 22 },
  azure: { SSHUser: 'docker-user', SSHPort: 22 },
  virtualbox: { SSHUser: 'docker', SSHPort: 50_858 },
  generic: { SSHUser: 'ana', SSHPort: 2222 },
}

/**
 * Returns the `Driver` object of a machine in a version of the format: the fields of all drivers and of its own driver.
 */
function driverOf(
  name: string,
  version: ConfigVersion,
  { driver, address, fields }: Kind,
  login: Fields = logins[driver] ?? {},
): Fields {
  const store = '/Users/ana/.docker/machine'
  return {
    ...{ IPAddress: address, MachineName: name, SSHUser: '', SSHPort: 0, ...login },
    ...(version === 3
      ? { SSHKeyPath: `${store}/machines/${name}/id_rsa`, StorePath: store }
      : { CaCertPath: `${store}/certs/ca.pem`, PrivateKeyPath: `${store}/certs/ca-key.pem` }),
    ...{ SwarmMaster: false, SwarmHost: 'tcp://0.0.0.0:3376', SwarmDiscovery: '' },
    ...fields(version),
  }
}

/**
 * Returns the content of a config.json. Version 1 contains no name; some releases with version 3 also wrote the driver
 * in base64 (`RawDriver`).
 */
function configOf(
  name: string,
  version: ConfigVersion,
  driverName: string,
  driver: Fields,
): Fields {
  const store = '/Users/ana/.docker/machine'
  const place = `${store}/machines/${name}`
  return {
    ConfigVersion: version,
    Driver: driver,
    DriverName: driverName,
    HostOptions: {
      ...{ Driver: '', Memory: 0, Disk: 0 },
      EngineOptions: {
        ...{ ArbitraryFlags: [], Dns: null, GraphDir: '', Env: [], Ipv6: false, Labels: [] },
        ...{ InsecureRegistry: [], LogLevel: '', StorageDriver: '', SelinuxEnabled: false },
        ...{ TlsVerify: true, RegistryMirror: [], InstallURL: 'https://get.docker.com' },
      },
      SwarmOptions: {
        ...{ IsSwarm: false, Address: '', Discovery: '', Master: false, Strategy: 'spread' },
        ...{ Host: 'tcp://0.0.0.0:3376', Image: 'swarm:latest', Heartbeat: 0, Overcommit: 0 },
      },
      AuthOptions: {
        ...(version > 1 && { CertDir: `${store}/certs` }),
        CaCertPath: `${store}/certs/ca.pem`,
        [version === 1 ? 'PrivateKeyPath' : 'CaPrivateKeyPath']: `${store}/certs/ca-key.pem`,
        ...{ CaCertRemotePath: '', ServerCertPath: `${place}/server.pem` },
        ...{ ServerKeyPath: `${place}/server-key.pem`, ClientKeyPath: `${store}/certs/key.pem` },
        ...{ ServerCertRemotePath: '', ServerKeyRemotePath: '' },
        ...{ ClientCertPath: `${store}/certs/cert.pem`, StorePath: version === 1 ? '' : place },
      },
    },
    ...(version === 1 ? { StorePath: place } : { Name: name }),
    ...(version === 3 && {
      RawDriver: Buffer.from(JSON.stringify(driver)).toString('base64'),
    }),
  }
}

/** Returns the contents of config.json files in a version of the format, keyed by machine name. */
export const dockerMachineConfigs = (version: ConfigVersion): Readonly<Record<string, Fields>> =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [
      name,
      configOf(name, version, kind.driver, driverOf(name, version, kind)),
    ]),
  )

/**
 * Returns the contents of config.json files for a machine of each driver that stores an address, keyed by machine name.
 * `next` returns the address and the login user of each machine.
 */
export function dockerMachineConfigsAt(
  next: () => { readonly address: string; readonly user: string },
): Readonly<Record<string, Fields>> {
  const known = [1, 2, 3].flatMap((version) =>
    ['cloud', 'iron'].map((name) => [name, version as ConfigVersion, kinds[name]] as const),
  )
  const rest = Object.entries(others).map(
    ([driver, fields]) => [driver, 3, { driver, address: '', fields: () => fields }] as const,
  )
  return Object.fromEntries(
    [...known, ...rest].map(([title, version, kind]) => {
      const { address, user } = next()
      const name = `${title}-v${version}`
      const login = { SSHUser: user, SSHPort: 22 }
      if (kind === undefined) throw new TypeError(`no machine ${title}`)
      const driver = driverOf(name, version, { ...kind, address }, login)
      return [name, configOf(name, version, kind.driver, driver)]
    }),
  )
}
