import { Argument, type Command } from 'commander';
import { CliError, EXIT_CODES } from '../exit-codes.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** `tepui completion bash|zsh|fish`: prints a script made from the command tree itself, so it cannot fall behind. */
export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('print a shell completion script')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      '\nFor bash:  source <(tepui completion bash)\nFor zsh:   source <(tepui completion zsh)\nFor fish:  tepui completion fish | source',
    )
    .action((shell: string) => {
      process.stdout.write(completionScript(program, shell));
    });
}

/** The script for one shell. Offers commands first, then the options of the command that was typed. */
export function completionScript(program: Command, shell: string): string {
  const commands = program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: [...new Set([command, ...command.commands].flatMap(optionsOf))].concat('--help'),
    children: command.commands.map((child) => child.name()),
  }));
  if (shell === 'bash') return bash(commands);
  if (shell === 'zsh') return zsh(commands);
  if (shell === 'fish') return fish(commands);
  throw new CliError(`completion: unknown shell ${shell}`, EXIT_CODES.usage.code);
}

interface Completable {
  name: string;
  description: string;
  /** Of the command and of those below it. */
  options: string[];
  /** Names of the commands below it. */
  children: string[];
}

function optionsOf(command: Command): string[] {
  return command.options.flatMap((option) => [option.long, option.short].filter((flag) => flag !== undefined));
}

function bash(commands: Completable[]): string {
  const cases = commands
    .map(
      ({ name, options, children }) => `    ${name}) words='${options.join(' ')}' children='${children.join(' ')}' ;;`,
    )
    .join('\n');
  return `_tepui() {
  local current=\${COMP_WORDS[COMP_CWORD]} words= children=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$current"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases}
  esac
  if [ "$COMP_CWORD" -eq 2 ] && [ -n "$children" ]; then
    COMPREPLY=($(compgen -W "$children" -- "$current"))
    return
  fi
  case $current in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _tepui tepui
`;
}

function zsh(commands: Completable[]): string {
  const list = commands
    .map(({ name, description }) => `    '${name}:${description.replaceAll("'", '').replaceAll(':', '')}'`)
    .join('\n');
  const cases = commands.map(({ name, options }) => `    ${name}) compadd -- ${options.join(' ')} ;;`).join('\n');
  const children = commands
    .filter((command) => command.children.length > 0)
    .map((command) => `    ${command.name}) compadd -- ${command.children.join(' ')}; return ;;`)
    .join('\n');
  return `#compdef tepui
_tepui() {
  local -a commands
  commands=(
${list}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  if (( CURRENT == 3 )); then
    case $words[2] in
${children}
    esac
  fi
  if [[ $words[CURRENT] != -* ]]; then
    _files
    return
  fi
  case $words[2] in
${cases}
  esac
}
compdef _tepui tepui
`;
}

function fish(commands: Completable[]): string {
  const lines = commands.flatMap(({ name, description, options, children }) => [
    `complete -c tepui -n __fish_use_subcommand -a ${name} -d '${description.replaceAll("'", '')}'`,
    ...(children.length > 0
      ? [`complete -c tepui -f -n '__fish_seen_subcommand_from ${name}' -a '${children.join(' ')}'`]
      : []),
    ...options
      .filter((option) => option.startsWith('--'))
      .map((option) => `complete -c tepui -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`),
  ]);
  return `${lines.join('\n')}\n`;
}
