/** The exit codes of every tepui command; docs/reference/cli.md prints this table. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: 'the command did what was asked' },
  failed: { code: 1, meaning: 'the command failed; the reason is on standard error' },
  usage: { code: 2, meaning: 'unknown command, option or argument' },
  invalid: { code: 3, meaning: '`validate`: at least one document is invalid' },
  unreachable: { code: 4, meaning: 'the API server or the agent cannot be reached' },
  notFound: { code: 5, meaning: 'the object named does not exist' },
  unsupported: {
    code: 6,
    meaning:
      'this machine cannot run it: neither root nor a delegated cgroup, no cgroup controllers, or too old a kernel',
  },
  taskNotRun: {
    code: 125,
    meaning: '`run` and `exec`: the command was never started; others: the task does not run, or no more',
  },
  readerGone: { code: 141, meaning: 'any command: whoever read its output has gone, as with `| head`' },
  signalBase: {
    code: 128,
    meaning: '`run` and `exec`: 128 + N when signal N ended the command; otherwise its own exit code',
  },
} as const;

/** An error whose message is the whole story for the person at the terminal: printed as one sentence, without a stack. */
export class CliError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT_CODES.failed.code, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
