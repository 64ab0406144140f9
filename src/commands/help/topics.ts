/** The texts of `fleet help TOPIC`. Lines have at most 80 characters. */
export const topics = {
  selectors: `Selectors choose machines for --on, --destroy and --only.

  web-1         the machine with this name
  web-*         machines whose names match; * matches any text, ? one character
  role=web      machines with this label
  driver=aws    machines with this driver
  state=stopped machines in this state; fleet queries providers and hosts first
  all           all machines
  !web-*        all except these machines; also role!=web, state!=running

A comma means "or": --on role=web,role=db. Repeated options with the same key
also mean "or". Options with different keys must all match: --on role=web
--on driver=aws. A selector that matches no machine is an error.

Examples:
  $ fleet ps --on role=web
  $ fleet ssh --on 'web-*' -- uptime
  $ fleet restart --on role=web --on driver=aws
`,
  options: `These options have the same meaning for all commands that accept them. You can
put them before or after the command name; for commands that take docker options
(run, exec, build, compose and others), put them before it.

  --inventory <file>     inventory file to use
  -m, --machine <name>   machine to use instead of the active one
  --on <selector>        machines to use (repeatable; see fleet help selectors)
  --all                  use all machines (same as --on all)
  --parallel <count>     number of machines to work on at the same time
                         (default: 32; ls and status: 128; commands that change
                         machines, such as create and start: 8)
  --timeout <seconds>    time limit for each machine
  --max-fail <count>     skip the remaining machines after this many failures
                         (default: no limit)
  --retry-failed         use only the machines on which the previous command
                         failed
  --fold                 print identical output from several machines only once
  --json                 print JSON
  --format <template>    print each result with a template (fleet help output)
  -q, --quiet            print only names or IDs
  -y, --yes              do not ask for confirmation
  -h, --help             show help
  -V, -v, --version      print the version

fleet never prompts if stdin or stderr is not a terminal: commands that require
confirmation then fail with exit code 2, unless you pass --yes.
`,
  environment: `Environment variables that fleet reads:

  FLEET_INVENTORY     inventory file (default: the nearest machines.yaml in the
                      working directory or above it, or the one in FLEET_HOME)
  FLEET_MACHINE       machine to use instead of the active one
  FLEET_HOME          directory for keys, the active machine and other state
                      (default: $XDG_DATA_HOME/fleet, ~/.local/share/fleet, or
                      the operating system's usual directory)
  FLEET_CACHE         directory for downloaded disk images (default: the
                      operating system's usual cache directory)
  FLEET_BROKER=off    open new connections for every command, without the
                      background process
  FLEET_SSH           SSH client: openssh or builtin (default: fleet chooses)
  FLEET_OPERATOR      name that identifies you as the owner of Compose projects
  FLEET_CHECKIP_URL   service that returns this computer's public address
                      (default: checkip.amazonaws.com)
  FLEET_DEBUG         1, or topics such as ssh,engine: print a trace of the
                      command to stderr, without secrets
  FLEET_DEBUG_FILE    file for the trace, instead of stderr
  FLEET_AZURE_LOGIN   device-code: log in to Azure with a code in a browser

SSH_AUTH_SOCK, HTTPS_PROXY, NO_PROXY, NO_COLOR, TMPDIR and the variables used by
AWS and Azure tools have their usual meanings.
`,
  output: `Results are written to stdout. Messages, progress and prompts are written to
stderr, so that output can be redirected or piped.

With --json, the result is one JSON object or array; commands that keep running,
such as logs and events, print one object per line. Errors are printed to
stderr, as one JSON object per line with kind, message, machine and hint.

With --format, each result is printed with a Go template, as in docker. A
template can contain text, {{.field.field}}, if, range, with, and the functions
json, prettyjson, join, split, upper, lower, title, len, index, eq, ne, and, or,
not, println. Field names are those of --json, in upper or lower case. For
example:
  fleet inspect web-1 --format '{{.host.address}} {{json .labels}}'
  fleet ls --format '{{.name}}\\t{{index .labels "role"}}'

With --quiet, only names or IDs are printed, one per line. For example:
  fleet ls -q | xargs -n1 fleet ip

In pipes, table columns are separated by tabs and not truncated. Colors are used
only on terminals, and never if NO_COLOR is set.
`,
  'exit-codes': `Exit codes:

    0   success
    1   an operation failed, or failed on some of the machines
    2   invalid usage, or confirmation is required but there is no terminal;
        for fleet plan: there are changes to apply
    3   unknown machine
    4   the inventory cannot be read, or fleet check found a problem
    5   a machine is unreachable, or its host key is not accepted
    6   credentials are missing or were refused
    7   another fleet command is working on the same machine
    8   not supported by the driver or the host
   70   a bug in fleet
  130   cancelled

fleet ssh and the commands that fleet passes to docker exit with the remote
command's exit code. If fleet itself fails, the exit code is 255 for ssh and 125
for docker.
`,
} as const

export type Topic = keyof typeof topics

export const isTopic = (word: string | undefined): word is Topic =>
  word !== undefined && Object.hasOwn(topics, word)
