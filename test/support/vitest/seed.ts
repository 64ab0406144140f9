import { configureGlobal } from 'fast-check'

/**
 * Generated input is the same in every run, so that a run fails only by what was changed. `FLEET_TEST_SEED` takes another
 * number, or `random`: fast-check prints the seed of what fails.
 */
const seed = process.env['FLEET_TEST_SEED'] ?? '20260401'
configureGlobal(seed === 'random' ? {} : { seed: Number(seed) })
