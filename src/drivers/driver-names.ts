/**
 * The names of the built-in drivers, in the order that help lists them. This file does not load any driver, because
 * loading drivers takes a while.
 */
export const driverNames = ['local', 'ssh', 'qemu', 'virtualbox', 'aws', 'azure'] as const

export type DriverName = (typeof driverNames)[number]

/** Whether fleet includes the driver called `name`. */
export const isBuiltIn = (name: string): boolean => driverNames.some((builtIn) => builtIn === name)
