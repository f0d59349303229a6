/** Where the command starts: as the agent says; else `workingDir` of the document (relative to the sandbox), else the sandbox. */
import { resolve } from 'node:path';
import { sandboxInContainer } from './filesystem/sandbox.ts';
import type { ContainerSpec, Isolator } from './isolator.ts';

export function workingDirectoryIsolator(): Isolator {
  return {
    name: 'working-directory',
    contribute: (spec) => ({ privileges: [{ op: 'workingDirectory', path: workingDirectoryOf(spec) }] }),
  };
}

/** Absolute, in the container. */
export function workingDirectoryOf(spec: ContainerSpec): string {
  return resolve(sandboxInContainer(spec), spec.workingDirectory ?? spec.container.workingDir ?? '.');
}
