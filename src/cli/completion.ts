import { Argument, type Command } from 'commander';
import { print } from './output.ts';

type Shell = 'bash' | 'zsh' | 'fish';

export function configure(command: Command): void {
  command
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      `
With its script, a shell completes commands, options and their values when you press Tab: also the buses that run,
and the names that are bound on them. The Debian package installs the scripts.

Examples:
  source <(kbus completion bash)
  kbus completion zsh > ~/.zfunc/_kbus
  kbus completion fish > ~/.config/fish/completions/kbus.fish

For bash, put the first line into ~/.bashrc; for zsh, the folder ~/.zfunc must be in $fpath before compinit runs.`,
    )
    .action((shell: Shell) => print(SCRIPTS[shell]));
}

/**
 * Each script asks `kbus __complete` (see complete.ts) with the words as they stand in the command line. The first line
 * of the answer says what kind of word is wanted; the others are words, each with a description behind a tab.
 */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# bash completion of kbus
_kbus() {
  local line lines=()
  COMPREPLY=()
  while IFS= read -r line; do lines+=("\${line%%$'\\t'*}"); done < <(
    "$1" __complete bash "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null
  )
  case \${lines[0]} in
    :files) compopt -o default ;;
    :folders) compopt -o dirnames ;;
    *) COMPREPLY=("\${lines[@]:1}") ;;
  esac
}
complete -F _kbus kbus
`,
  zsh: `#compdef kbus
_kbus() {
  local line lines values shown
  lines=("\${(@f)$("\${(Q)words[1]}" __complete zsh "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  case $lines[1] in
    :files) _files; return ;;
    :folders) _files -/; return ;;
  esac
  values=() shown=()
  for line in "\${(@)lines[2,-1]}"; do
    values+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  -- }")
  done
  (( $#values )) && compadd -l -d shown -a values
}
if [[ $funcstack[1] == _kbus ]]; then _kbus "$@"; else compdef _kbus kbus; fi
`,
  fish: `# fish completion of kbus
function __kbus_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l lines ($words[1] __complete fish $words[2..-1] "$current" 2>/dev/null)
  switch "$lines[1]"
    case :files
      __fish_complete_path "$current"
    case :folders
      __fish_complete_directories "$current"
    case '*'
      printf '%s\\n' $lines[2..-1]
  end
end
complete -c kbus -f -k -a '(__kbus_complete)'
`,
};
