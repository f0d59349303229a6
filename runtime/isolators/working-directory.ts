/** Where the command starts: `workingDir` of the document (relative to the sandbox), else the sandbox. */
import { resolve } from 'node:path';
import type { Isolator } from './isolator.ts';

export function workingDirectoryIsolator(): Isolator {
  return {
    name: 'working-directory',
    contribute: ({ container, sandbox }) => ({
      privileges: [{ op: 'workingDirectory', path: resolve(sandbox, container.workingDir ?? '.') }],
    }),
  };
}
