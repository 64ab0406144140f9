/**
 * What each shell runs at Tab. All of them hand the words typed so far to `fleet __complete`,
 * which answers with `WORD<tab>DESCRIPTION` lines, or with `:files` where a file name belongs.
 */
export const completionScripts = {
  bash: `_fleet() {
  local line IFS=$'\\n'
  COMPREPLY=()
  while read -r line; do
    if [ "$line" = :files ]; then
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
      return
    fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(fleet __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _fleet fleet
`,
  zsh: `#compdef fleet
_fleet() {
  local line
  local -a found
  for line in "\${(@f)$(fleet __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    if [[ $line == :files ]]; then _files; return; fi
    found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe fleet found
}
if [[ $funcstack[1] == _fleet ]]; then _fleet "$@"; else compdef _fleet fleet; fi
`,
  fish: `function __fleet_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (fleet __complete $words[2..-1] 2>/dev/null)
    if test "$line" = :files
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c fleet -f -a '(__fleet_complete)'
`,
  powershell: `Register-ArgumentCompleter -Native -CommandName fleet -ScriptBlock {
  param($word, $ast, $cursor)
  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.Extent.Text })
  if ($word -eq '') { $words += '""' }
  fleet __complete @words 2>$null | ForEach-Object {
    $parts = $_ -split "\`t", 2
    if ($parts[0] -eq ':files') { return }
    $about = if ($parts[1]) { $parts[1] } else { $parts[0] }
    [System.Management.Automation.CompletionResult]::new($parts[0], $parts[0], 'ParameterValue', $about)
  }
}
`,
} as const

/** A shell that fleet can complete in. */
export type Shell = keyof typeof completionScripts
