/** The containerizers that the conformance suite runs over, and what each of them cannot do by its own declaration. */
import { execFileSync } from 'node:child_process';
import { createDockerContainerizer } from '../../runtime/containerizers/docker/containerizer.ts';
import { createOciContainerizer } from '../../runtime/containerizers/oci/containerizer.ts';
import { buildLauncher } from '../../runtime/launcher/build.ts';
import { type NodeKind, startNode, type TestNode, unavailable } from '../runtime/containerizers/harness.ts';
import { aptProblem } from '../setup/debian.ts';
import { startDockerDaemon, testImage } from './docker-daemon.ts';

export interface Target {
  name: string;
  /** Why it cannot be tested here. */
  problem: string | undefined;
  start(): Promise<TestNode>;
  /** The end by signal N is told as exit code 128 + N. */
  tellsSignalsAsCodes?: boolean;
  /** It runs images only, so containers have busybox in place of the host's files, and limits and groups are the engine's. */
  runsImagesOnly?: boolean;
  /** A command that does not exist ends the container with 127 instead of failing the launch. */
  missingCommandIsAnExit?: boolean;
  /** Neither a terminal nor a standard input that can be attached to. */
  hasNoStreams?: boolean;
  /** A terminal does not follow the size of those who attach: crun before 1.8.7. */
  keepsTerminalSize?: boolean;
}

/** Started for this test file. */
const daemon = unavailable ?? process.env.TEPUI_TEST_NO_DOCKER ?? (await startDockerDaemon());

/** After the last test of a file. */
export async function stopTargets(): Promise<void> {
  if (typeof daemon !== 'string') await daemon.stop();
}

export const targets: Target[] = [
  { name: 'native', problem: unavailable, start: () => startNode() },
  ...['crun', 'runc'].map((runtime) => ociTarget(runtime)),
  dockerTarget(),
];

// Hooks of skipped tests do not run: here the reason is always told.
for (const { name, problem } of targets)
  if (problem !== undefined) process.stderr.write(`conformance of ${name} skipped: ${problem}\n`);

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
    keepsTerminalSize: runtime === 'crun' && isBefore(versionOf(runtime), [1, 8, 7]),
  };
}

function versionOf(runtime: string): number[] {
  try {
    const version = /version (\d+)\.(\d+)(?:\.(\d+))?/.exec(execFileSync(runtime, ['--version'], { encoding: 'utf8' }));
    return version?.slice(1).map((part) => Number(part ?? 0)) ?? [];
  } catch {
    return [];
  }
}

function isBefore(version: number[], other: number[]): boolean {
  const differs = other.findIndex((part, index) => part !== version[index]);
  return differs >= 0 && version.length > 0 && version[differs]! < other[differs]!;
}

function dockerTarget(): Target {
  const socketPath = typeof daemon === 'string' ? '' : daemon.socketPath;
  const kind: NodeKind = {
    create: async ({ options, ...rest }) =>
      createDockerContainerizer({ ...rest, ...options, socketPath, launcherBinary: await buildLauncher() }),
    cgroupRoot: (root) => `${root}.docker`,
    exitDirectory: (_dataDir, runtimeDir) => `${runtimeDir}/docker`,
    container: { image: testImage },
  };
  return {
    name: 'docker',
    problem: typeof daemon === 'string' ? daemon : undefined,
    start: () => startNode({ kind }),
    tellsSignalsAsCodes: true,
    missingCommandIsAnExit: true,
    runsImagesOnly: true,
    hasNoStreams: true,
  };
}
