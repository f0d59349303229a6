/** The containerizers that the conformance suite runs over, and what each of them cannot do by its own declaration. */
import { execFileSync } from 'node:child_process';
import { createOciContainerizer } from '../../runtime/containerizers/oci/containerizer.ts';
import { type NodeKind, startNode, type TestNode, unavailable } from '../runtime/containerizers/harness.ts';
import { aptProblem } from '../setup/debian.ts';

export interface Target {
  name: string;
  /** Why it cannot be tested here. */
  problem: string | undefined;
  start(): Promise<TestNode>;
  /** The end by signal N is told as exit code 128 + N. */
  tellsSignalsAsCodes?: boolean;
  /** A command that does not exist ends the container with 127 instead of failing the launch. */
  missingCommandIsAnExit?: boolean;
}

export const targets: Target[] = [
  { name: 'native', problem: unavailable, start: () => startNode() },
  ...['crun', 'runc'].map((runtime) => ociTarget(runtime)),
];

function ociTarget(runtime: string): Target {
  const kind: NodeKind = {
    create: (options) => createOciContainerizer({ ...options, runtime }),
    cgroupRoot: (root) => `${root}.oci`,
    runtimeDir: (directory) => `${directory}/oci`,
    exitDirectory: (dataDir) => `${dataDir}/agent/containers-oci`,
  };
  return {
    name: `oci with ${runtime}`,
    problem: unavailable ?? aptProblem(runtime, () => execFileSync(runtime, ['--version'], { stdio: 'ignore' })),
    start: () => startNode({ kind }),
    tellsSignalsAsCodes: true,
    missingCommandIsAnExit: true,
  };
}
