#!/usr/bin/env node
// EXAMPLE_CLOUD_TOKEN=… example-cloud [PORT]
import { argv, env, exit } from 'node:process'
import { startCloud } from './cloud.js'

const token = env['EXAMPLE_CLOUD_TOKEN']
if (!token) {
  console.error('example-cloud: set EXAMPLE_CLOUD_TOKEN to the token that clients must present')
  exit(2)
}
const { endpoint } = await startCloud({ token, port: Number(argv[2] ?? 4040) })
console.log(`example-cloud listens on ${endpoint}`)
