import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The command line that runs this same tepui with other arguments. */
export function cliCommand(args: string[]): string[] {
  // In a checkout the script lies beside this file; the compiled package has it one level up, outside of dist.
  const places = ['./tepui', '../../cli/tepui'].map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const script = places.find((place) => existsSync(place));
  if (!script) throw new Error(`the script tepui is missing: it was looked for at ${places.join(' and ')}`);
  return [script, ...args];
}
