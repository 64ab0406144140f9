import { failWhenIdle } from '../../../src/cli/process.ts'

// A command that waits for something that never happens.
const { stdin, stdout, stderr, env } = process
const { signal } = new AbortController()
failWhenIdle({ stdin, stdout, stderr, env, cwd: process.cwd(), signal })
