import { configureGlobal } from 'fast-check'

/**
 * Generated input is the same in every run, so that only changes can make a run fail. `FLEET_TEST_SEED` sets another
 * seed; with `random`, the seed is random, and fast-check prints the seed of a failure.
 */
const seed = process.env['FLEET_TEST_SEED'] ?? '20260401'
configureGlobal(seed === 'random' ? {} : { seed: Number(seed) })
