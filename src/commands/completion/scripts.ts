/**
 * The completion script of each shell. It passes the words so far to `fleet __complete`, which prints
 * `WORD<tab>DESCRIPTION` lines, and `:files` as the last line if the shell should complete file names. No space
 * is added after a word that ends in a colon, a slash or an equals sign.
 */
export const completionScripts = {
  bash: `_fleet() {
  local line word part joined quoted words IFS=$'\\n'
  IFS=' ' read -r -a words <<<"\${COMP_LINE:0:COMP_POINT}x"
  word=\${words[\${#words[@]} - 1]%x}
  part=\${word##*[$COMP_WORDBREAKS]}
  joined=\${word%"$part"}
  COMPREPLY=()
  while read -r line; do
    if [ "$line" = :files ]; then
      # With filenames on, readline quotes; it would add a slash to machines too, called as a folder is.
      if [ \${#COMPREPLY[@]} = 0 ] && compopt -o filenames 2>/dev/null; then
        while read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$part")
        return
      fi
      while read -r line; do
        printf -v quoted %q "$line"
        [ -d "$line" ] && quoted=$quoted/
        COMPREPLY+=("$quoted")
      done < <(compgen -f -- "$part")
      return
    fi
    line=\${line%%$'\\t'*}
    case $line in *: | */ | *=) compopt -o nospace 2>/dev/null ;; esac
    printf -v quoted %q "\${line#"$joined"}"
    COMPREPLY+=("$quoted")
  done < <(fleet __complete "\${words[@]:1:\${#words[@]} - 2}" "$word" 2>/dev/null)
}
complete -F _fleet fleet
`,
  zsh: `#compdef fleet
_fleet() {
  local line word about entry
  local -a found open
  for line in "\${(@f)$(fleet __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    if [[ $line == :files ]]; then
      (( $#open )) && _describe fleet open -S ''
      compset -P '--*='
      _files
      return
    fi
    word=\${line%%$'\\t'*}
    about=\${line#*$'\\t'}
    entry=\${\${word//\\\\/\\\\\\\\}//:/\\\\:}:$about
    if [[ $word == *[:/=] ]]; then open+=("$entry"); else found+=("$entry"); fi
  done
  (( $#open )) && _describe fleet open -S ''
  _describe fleet found
}
if [[ $funcstack[1] == _fleet ]]; then _fleet "$@"; else compdef _fleet fleet; fi
`,
  fish: `function __fleet_complete
  set -l word (commandline -ct)
  set -l words (commandline -opc) $word
  for line in (fleet __complete $words[2..-1] 2>/dev/null)
    if test "$line" = :files
      set -l option (string match -r -- '^--[^=]*=' $word)
      for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $word))
        echo "$option$path"
      end
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
  $version = $PSVersionTable.PSVersion
  $keepsEmpty = $version.Major -gt 7 -or ($version.Major -eq 7 -and $version.Minor -ge 3)
  if ($word -eq '') { $words += $(if ($keepsEmpty) { '' } else { '""' }) }
  fleet __complete @words 2>$null | ForEach-Object {
    $parts = $_ -split "\`t", 2
    if ($parts[0] -eq ':files') { return }
    $about = if ($parts[1]) { $parts[1] } else { $parts[0] }
    $text = $parts[0]
    if ($text -notmatch '^[\\w./:=+-][\\w./:=+@%-]*$') {
      $text = "'" + ($text -replace '[\\u0027\\u2018-\\u201b]', '$0$0') + "'"
    }
    [System.Management.Automation.CompletionResult]::new($text, $parts[0], 'ParameterValue', $about)
  }
}
`,
} as const

/** A shell with a completion script. */
export type Shell = keyof typeof completionScripts
