import manifest from '../package.json' with { type: 'json' }

/** The version of fleet. */
export const { version } = manifest
