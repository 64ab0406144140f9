/** URLs of an Azure cloud, as Microsoft documents them for national clouds. */
interface Cloud {
  readonly resourceManager: string
  readonly authority: string
}

/** The Azure clouds, keyed by the name used in the option. */
export const clouds = {
  public: {
    resourceManager: 'https://management.azure.com',
    authority: 'https://login.microsoftonline.com',
  },
  china: {
    resourceManager: 'https://management.chinacloudapi.cn',
    authority: 'https://login.chinacloudapi.cn',
  },
  usgov: {
    resourceManager: 'https://management.usgovcloudapi.net',
    authority: 'https://login.microsoftonline.us',
  },
} as const satisfies Record<string, Cloud>

export type CloudName = keyof typeof clouds

/** Whether a name from a record is a known cloud. */
export const isCloudName = (name: string): name is CloudName => Object.hasOwn(clouds, name)
