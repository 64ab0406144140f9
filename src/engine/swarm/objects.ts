import { id, list, nothing, object, optional, record, text, withDefault } from '../answer.ts'
import type { Engine } from '../engine.ts'
import { type Version, readVersion } from './versions.ts'

/** The kinds of data that a swarm keeps for its services. */
export type ObjectKind = 'configs' | 'secrets'

/** A config or a secret (Config, Secret). */
export interface SwarmObject {
  readonly ID: string
  readonly Version: Version
  readonly Spec: {
    readonly Name: string
    readonly Labels: Readonly<Record<string, string>>
    /** The content in base64; present only for configs. */
    readonly Data?: string | undefined
  }
}

const readObject = object<SwarmObject>({
  ID: id,
  Version: readVersion,
  Spec: object<SwarmObject['Spec']>({
    Name: text,
    Labels: withDefault(record(text), {}),
    Data: optional(text),
  }),
})

/** Lists the configs or secrets with a label: `key`, or `key=value` (ConfigList, SecretList). */
export const listObjects = (
  engine: Engine,
  kind: ObjectKind,
  label: string,
  signal: AbortSignal,
): Promise<readonly SwarmObject[]> =>
  engine.json(
    { path: `/${kind}`, query: { filters: { label: [label] } }, signal },
    list(readObject),
  )

/** Creates a config or a secret (ConfigCreate, SecretCreate). Throws kind `failed` if the name is taken. */
export const createObject = (
  engine: Engine,
  kind: ObjectKind,
  {
    name,
    labels,
    content,
  }: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly content: Buffer
  },
  signal: AbortSignal,
): Promise<void> =>
  engine.json(
    {
      ...{ method: 'POST', path: `/${kind}/create`, signal },
      body: { Name: name, Labels: labels, Data: content.toString('base64') },
    },
    nothing,
  )

/** Changes the labels of a config (ConfigUpdate); its content cannot be changed. */
export const setConfigLabels = (
  engine: Engine,
  { ID, Version, Spec }: SwarmObject,
  labels: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> =>
  engine.json(
    {
      ...{ method: 'POST', path: `/configs/${ID}/update`, query: { version: Version.Index } },
      ...{ body: { ...Spec, Labels: labels }, signal },
    },
    nothing,
  )

/** Removes a config or a secret (ConfigDelete, SecretDelete). Throws kind `failed` if a service uses it. */
export const removeObject = (
  engine: Engine,
  kind: ObjectKind,
  { ID }: Pick<SwarmObject, 'ID'>,
  signal: AbortSignal,
): Promise<void> => engine.json({ method: 'DELETE', path: `/${kind}/${ID}`, signal }, nothing)
