import { ApiUnreachableError } from '../controllers/machinery/client/errors.ts';

/** One sentence for the person at the terminal: the error's own message and, where it adds something, that of its cause. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof ApiUnreachableError) return `the API server cannot be reached: ${error.message}`;
  const parts: string[] = [];
  // An error with an exit code was written for this place: its sentence is whole.
  const whole = typeof (error as { exitCode?: unknown }).exitCode === 'number';
  for (let at: unknown = error; at instanceof Error && parts.length < (whole ? 1 : 4); at = at.cause) {
    const message = at.message || (at as NodeJS.ErrnoException).code || at.name;
    if (!parts.some((part) => part.includes(message))) parts.push(message);
  }
  if (process.env.TEPUI_DEBUG) parts.push(`\n${error.stack}`);
  return parts.join(': ');
}
