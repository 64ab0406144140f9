export function windowsShims(program: string): { readonly '.cmd': string; readonly '.ps1': string }

export function shimFolder(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined
