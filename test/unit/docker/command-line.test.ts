import { describe, expect, test } from 'vitest'
import {
  formatWords,
  operandsOf,
  parseWords,
  replaceOperand,
  valuesOf,
  withoutFlags,
} from '../../../src/docker/command-line.ts'
import { imagesOf } from '../../../src/docker/dockerfile.ts'
import { dockerHub, registryOf } from '../../../src/docker/image-reference.ts'
import { readCommand } from '../../../src/docker/verbs.ts'

const syntax = { booleans: ['--rm', '-i', '-t'], shorts: { '-f': '--file', '-e': '--env' } }

describe('arguments of a docker command', () => {
  test.each([
    { args: ['-f', 'x', '.'], file: ['x'], operands: ['.'] },
    { args: ['-fx', '.'], file: ['x'], operands: ['.'] },
    { args: ['-f=x', '.'], file: ['x'], operands: ['.'] },
    { args: ['--file', 'x', '.'], file: ['x'], operands: ['.'] },
    { args: ['--file=x=y', '.'], file: ['x=y'], operands: ['.'] },
    { args: ['-itf', 'x', '-', 'b'], file: ['x'], operands: ['-', 'b'] },
    { args: ['--rm', 'a', '--file', 'b', 'c'], file: ['b'], operands: ['a', 'c'] },
    { args: ['--rm=false', 'a'], file: [], operands: ['a'] },
    { args: ['a', '--', '--file', 'b'], file: [], operands: ['a', '--file', 'b'] },
    { args: ['--unknown', 'value', 'a'], file: [], operands: ['a'] },
    { args: ['--file='], file: [''], operands: [] },
    { args: ['a', '--file'], file: [], operands: ['a'] },
  ])('are parsed into flags and operands: $args', ({ args, file, operands }) => {
    const words = parseWords(args, syntax)
    expect(valuesOf(words, '--file')).toEqual(file)
    expect(operandsOf(words)).toEqual(operands)
    expect(parseWords(formatWords(words), syntax)).toEqual(words)
  })

  test('after the first operand are all operands if docker parses them in this way', () => {
    const words = parseWords(['-e', 'A', 'image', '-e', 'B'], { ...syntax, flagsFirst: true })
    expect(valuesOf(words, '--env')).toEqual(['A'])
    expect(operandsOf(words)).toEqual(['image', '-e', 'B'])
    expect(formatWords(words)).toEqual(['--env=A', 'image', '-e', 'B'])
  })

  test('are changed by flag name and operand index', () => {
    const words = parseWords(['--rm', '-f', 'x', 'a', '--', 'b'], syntax)
    expect(formatWords(withoutFlags(words, ['--file']))).toEqual(['--rm', 'a', '--', 'b'])
    expect(formatWords(replaceOperand(words, 1, '-'))).toEqual(['--rm', '--file=x', 'a', '--', '-'])
  })
})

describe('docker commands whose flags fleet parses', () => {
  test.each([
    { args: ['build', '.'], verb: 'build', start: ['build'] },
    {
      args: ['--debug', 'image', 'build', '.'],
      verb: 'build',
      start: ['--debug', 'image', 'build'],
    },
    { args: ['-l', 'debug', 'create', 'bb'], verb: 'run', start: ['-l=debug', 'create'] },
    { args: ['container', 'export', 'c'], verb: 'save', start: ['container', 'export'] },
    { args: ['compose', 'up', '-d'], verb: 'compose', start: ['compose'] },
  ])('are recognized by name: $args', ({ args, verb, start }) => {
    expect(readCommand(args)).toMatchObject({ verb, start })
  })

  test.each([
    [['ps', '-a']],
    [['container', 'ls']],
    [['--version']],
    [[]],
    [['volume', 'create', 'x']],
  ])('do not include %j', (args) => expect(readCommand(args)).toBeUndefined())
})

test.each([
  ['bb', dockerHub],
  ['bb:1', dockerHub],
  ['library/bb:1', dockerHub],
  ['docker.io/library/bb', dockerHub],
  ['localhost/bb', 'localhost'],
  ['10.0.0.1:5000/team/app:2', '10.0.0.1:5000'],
  ['registry.example/a/b/c@sha256:00', 'registry.example'],
])('the registry of %s is found', (image, registry) => expect(registryOf(image)).toBe(registry))

describe('base images of a Dockerfile', () => {
  test.each([
    ['FROM bb:1\nRUN true', ['bb:1']],
    ['from --platform=linux/arm64 a.example/x AS y\nFROM y\nFROM scratch', ['a.example/x']],
    ['ARG R=r.example\nARG T\nFROM $R/x:${T}', ['r.example/x:2']],
    ['FROM ${B:-fallback:1}', ['fallback:1']],
    ['# syntax=s.example/front:1\n#FROM no\nFROM a', ['s.example/front:1', 'a']],
    ['# escape=`\n# Syntax = s.example/front:1\nFROM `\n  a', ['s.example/front:1', 'a']],
    ['# check=skip=all\n\n# syntax=s.example/front:1\nFROM a', ['a']],
    ['FROM a\nRUN echo `\nFROM b', ['a', 'b']],
    ['ARG T\nARG U\nFROM a${T:+:$T}\nFROM b${U:+:1}', ['a:2', 'b']],
    [
      'ARG T\nARG U\nFROM a:${U:-$T}\nFROM b:${U:-${T}}\nFROM c:${U:-${V:-3}}',
      ['a:2', 'b:2', 'c:3'],
    ],
    ['FROM ${U:-${V:-${W:-c:1}}}', ['c:1']],
    ['ARG T\nFROM a:${T:?missing}', ['a:2']],
    ['ARG R=r.example N="app" V=3\nFROM $R/$N:$V', ['r.example/app:3']],
    ['# version=1\n# escape=`\nFROM \\\n  a', ['a']],
    ['\uFEFF# escape=`\n# syntax=s.example/front:1\nFROM `\n  a', ['s.example/front:1', 'a']],
    ['FROM \\\n  a\nCOPY --from=c.example/y /b /b\nCOPY --from=0 /b /b', ['a', 'c.example/y']],
    ['FROM a\nRUN --mount=type=bind,from=m.example/z,target=/z ls', ['a', 'm.example/z']],
  ])('are found in: %j', (dockerfile, images) => {
    expect(imagesOf(dockerfile, new Map([['T', '2']]))).toEqual(images)
  })
})
