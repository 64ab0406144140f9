import type { Duplex } from 'node:stream'
import { id as readId, number, object, optional } from './answer.ts'
import type { Engine } from './engine.ts'

/** A command to run in a container. */
export interface ExecRequest {
  readonly container: string
  readonly command: readonly string[]
  /** `NAME=VALUE`. */
  readonly env: readonly string[]
  readonly user: string | undefined
  /** The working directory (default: the container's working directory). */
  readonly folder: string | undefined
  readonly privileged: boolean
  /** Whether the command reads standard input. */
  readonly input: boolean
}

/** Creates an exec instance for a running container (ContainerExec) and returns its ID. Does not start the command. */
export async function createExec(
  engine: Engine,
  { container, command, env, user, folder, privileged, input }: ExecRequest,
): Promise<string> {
  const { Id } = await engine.json(
    {
      method: 'POST',
      path: `/containers/${encodeURIComponent(container)}/exec`,
      body: {
        ...{ AttachStdin: input, AttachStdout: true, AttachStderr: true, Tty: false },
        ...{ Cmd: command, Env: env, Privileged: privileged },
        ...(user !== undefined && { User: user }),
        ...(folder !== undefined && { WorkingDir: folder }),
      },
    },
    object<{ readonly Id: string }>({ Id: readId }),
  )
  return Id
}

/** Starts an exec instance (ExecStart). The connection transfers the command's input, and its output in frames. */
export const startExec = (engine: Engine, id: string): Promise<Duplex> =>
  engine.attach({
    method: 'POST',
    path: `/exec/${id}/start`,
    body: { Detach: false, Tty: false },
  })

/** Reads the exit code of an exec instance that has ended (ExecInspect). */
export async function readExitCode(engine: Engine, id: string): Promise<number> {
  const { ExitCode } = await engine.json(
    { path: `/exec/${id}/json` },
    object<{ readonly ExitCode: number | undefined }>({ ExitCode: optional(number) }),
  )
  return ExitCode ?? 0
}
