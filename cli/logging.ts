import { type Command, InvalidArgumentError } from 'commander';
import { destination, type Logger, pino } from 'pino';

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** Adds --log-level; long-running parts log JSON lines to standard error. */
export function withLogging(command: Command, level: string): Command {
  return command.option('--log-level <level>', `lowest level to log: ${LEVELS.join(', ')}`, parseLevel, level);
}

export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ['token', 'env', '*.token', '*.env', 'headers.authorization'],
    },
    destination({ fd: 2, sync: true }),
  );
}

function parseLevel(value: string): string {
  if (LEVELS.includes(value)) return value;
  throw new InvalidArgumentError(`must be one of ${LEVELS.join(', ')}`);
}
