import { failWhenIdle } from '../../../src/cli/process.ts'

// A command that waits for what never comes.
const { stdin, stdout, stderr, env } = process
const { signal } = new AbortController()
failWhenIdle({ stdin, stdout, stderr, env, cwd: process.cwd(), signal })
