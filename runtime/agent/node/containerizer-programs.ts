/** Which OCI runtime and which Docker Engine an agent was started with: the clean-up must find the same. */
import { join } from 'node:path';
import { readCheckpoint, writeCheckpoint } from '../../checkpoint/file.ts';

export interface ContainerizerPrograms {
  /** Name on PATH or absolute path of the OCI runtime. Default: crun, else runc, else youki. */
  ociRuntime?: string | undefined;
  /** Socket of a Docker Engine. Default: /var/run/docker.sock. */
  dockerSocket?: string | undefined;
}

const kind = { kind: 'ContainerizerPrograms', version: 1 };

/** Of the agent that ran last; nothing when it had the defaults. */
export async function readPrograms(metaDirectory: string): Promise<ContainerizerPrograms> {
  return (await readCheckpoint<ContainerizerPrograms>(fileIn(metaDirectory), kind)) ?? {};
}

/** Before anything is started with them. */
export async function keepPrograms(metaDirectory: string, programs: ContainerizerPrograms): Promise<void> {
  const known = await readPrograms(metaDirectory);
  const isSame = known.ociRuntime === programs.ociRuntime && known.dockerSocket === programs.dockerSocket;
  if (!isSame) await writeCheckpoint(fileIn(metaDirectory), kind, programs);
}

function fileIn(metaDirectory: string): string {
  return join(metaDirectory, 'containerizers.json');
}
