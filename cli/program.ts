import { Command, CommanderError } from 'commander';
import { ApiUnreachableError } from '../controllers/machinery/client/errors.ts';
import { addCommands } from './commands/index.ts';
import { describeError } from './describe-error.ts';
import { CliError, EXIT_CODES } from './exit-codes.ts';
import { VERSION } from './version.ts';

/** Builds the whole command tree; completion and the reference page are generated from it. */
export function createProgram(): Command {
  const program = new Command('tepui')
    .description('Runs frameworks, tasks and volumes from declarative documents, on one machine or many.')
    .version(VERSION, '-V, --version', 'print the version')
    .showHelpAfterError('(see `tepui --help`)')
    .enablePositionalOptions()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false });
  addCommands(program);
  return program;
}

/** Runs one command line and sets the exit code; errors become one sentence on standard error. */
export async function runProgram(argv: string[]): Promise<void> {
  const program = createProgram();
  overrideExits(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT_CODES.ok.code : EXIT_CODES.usage.code;
      return;
    }
    process.stderr.write(`tepui: ${describeError(error)}\n`);
    process.exitCode = error instanceof CliError ? error.exitCode : exitCodeOf(error);
  }
}

function overrideExits(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) overrideExits(child);
}

/** Of an API server that does not answer; start-up errors of the server and the agent carry their exit code. */
function exitCodeOf(error: unknown): number {
  if (error instanceof ApiUnreachableError) return EXIT_CODES.unreachable.code;
  const code = (error as { exitCode?: unknown }).exitCode;
  return typeof code === 'number' ? code : EXIT_CODES.failed.code;
}
