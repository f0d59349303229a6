import { fileURLToPath } from 'node:url';

/** The command line that runs this same tepui with other arguments: the same Node, and main.ts or, compiled, main.js. */
export function cliCommand(args: string[]): string[] {
  const main = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url));
  return [process.execPath, '--disable-warning=ExperimentalWarning', main, ...args];
}
