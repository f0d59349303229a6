/** One sentence for the person at the terminal: the error's own message and, where it adds something, that of its cause. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 4; at = at.cause) {
    const message = at.message || (at as NodeJS.ErrnoException).code || at.name;
    if (!parts.some((part) => part.includes(message))) parts.push(message);
  }
  if (process.env.TEPUI_DEBUG) parts.push(`\n${error.stack}`);
  return parts.join(': ');
}
