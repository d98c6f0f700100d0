/**
 * What a shell runs to complete `keystead`. Each asks `keystead complete`, giving it the words as they are, never evaluated
 * again, and offers files where that has nothing to say.
 */
export const completionScripts = {
  bash: `# keystead completion for bash
_keystead() {
  local value
  COMPREPLY=()
  while IFS=$'\\t' read -r value _; do
    COMPREPLY+=("$value")
  done < <(keystead complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _keystead keystead
`,
  zsh: `#compdef keystead
# keystead completion for zsh
_keystead() {
  local -a found
  found=("\${(@f)$(keystead complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=("\${(@)found:#}")
  if (( \${#found} )); then
    found=("\${(@)found/$'\\t'/:}")
    _describe keystead found
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _keystead ]]; then
  _keystead "$@"
else
  compdef _keystead keystead
fi
`,
  fish: `# keystead completion for fish
function __keystead_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l found (keystead complete -- $words[2..-1] "$current" 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path "$current"
  end
end
complete -c keystead -f -a '(__keystead_complete)'
`,
} as const satisfies Readonly<Record<string, string>>;
