/** The tags of all that is made for one host: by them it is found again, whatever the inventory remembers. */
export const hostTags = (
  fleet: string,
  machine: string,
  token: string,
): Readonly<Record<string, string>> => ({
  fleet: 'true',
  'fleet:id': fleet,
  'fleet:machine': machine,
  'fleet:token': token,
})
