/** The containerizers that an agent has when it is given none: native, and what else is on this machine, in the operator's order. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentSpec } from '../../../crds/types.generated.ts';
import { makeLauncherGroups } from '../../cgroups/launcher-groups.ts';
import { removeSharedGroups } from '../../cgroups/leftovers.ts';
import { createComposingContainerizer } from '../../containerizers/composing/containerizer.ts';
import type { Member } from '../../containerizers/composing/member.ts';
import type { Containerizer } from '../../containerizers/containerizer.ts';
import { createDockerContainerizer, readEngineVersion } from '../../containerizers/docker/containerizer.ts';
import { engineNetworks } from '../../containerizers/docker/networks.ts';
import { describeDocker, dockerUnsupported } from '../../containerizers/docker/unsupported.ts';
import { createNativeContainerizer, type NativeOptions } from '../../containerizers/native/containerizer.ts';
import { createOciContainerizer } from '../../containerizers/oci/containerizer.ts';
import { findOciRuntime } from '../../containerizers/oci/runtime.ts';
import { describeOci, ociUnsupported } from '../../containerizers/oci/unsupported.ts';
import { buildLauncher } from '../../launcher/build.ts';
import { connectLauncher } from '../../launcher/client.ts';
import { rootlessState } from '../../rootless/state.ts';
import type { ContainerizerPrograms } from './containerizer-programs.ts';
import type { AgentPaths } from './paths.ts';

export interface ContainerizerSettings extends ContainerizerPrograms {
  /** What the Agent document says now. */
  spec(): AgentSpec | undefined;
  /** Host ports that it offers ("31000-32000"). */
  portRanges?(): string | undefined;
}

/** Rejects with one clear sentence when this host cannot isolate containers. */
export async function openContainerizer(
  paths: AgentPaths,
  logger: Logger,
  { spec, portRanges, ociRuntime, dockerSocket }: ContainerizerSettings = { spec: () => undefined },
): Promise<Containerizer> {
  const options: NativeOptions = {
    dataDir: paths.dataDir,
    runtimeDir: paths.runtimeDir,
    cgroupRoot: join('tepui', paths.instance),
    logger,
    options: { isolation: () => spec()?.isolation, ...(portRanges && { portRanges }) },
  };
  const native = await createNativeContainerizer(options);
  return createComposingContainerizer({
    members: [
      nativeMember(native),
      await ociMember(native, paths, options, ociRuntime),
      await dockerMember(paths, options, dockerSocket),
    ],
    order: () => spec()?.containerizers ?? ['native'],
  });
}

function nativeMember(native: Containerizer): Member {
  return {
    name: 'native',
    problem: () => undefined,
    unsupported: (task) => native.unsupported(task),
    hasLeftovers: () => true,
    describe: async () => (await native.describe!())[0]!,
    open: async () => native,
  };
}

/** Looked for once: what is installed later is found at the agent's next start. */
async function ociMember(
  native: Containerizer,
  paths: AgentPaths,
  options: NativeOptions,
  wanted: string | undefined,
): Promise<Member> {
  const runtime = needsRoot() ?? (await findOciRuntime(wanted).catch((error: Error) => error));
  return {
    name: 'oci',
    problem: () => (runtime instanceof Error ? runtime.message : undefined),
    // What the host lacks it lacks for both.
    unsupported: (task) => [...new Set([...native.unsupported(task), ...ociUnsupported(task)])],
    hasLeftovers: () =>
      !isEmpty(join(paths.dataDir, 'agent/containers-oci')) || !isEmpty(join(ociDirectory(paths), 'launches')),
    describe: () => describeOci(runtime as Exclude<typeof runtime, Error>),
    open: () => createOciContainerizer({ ...options, runtime: (runtime as Exclude<typeof runtime, Error>).path }),
  };
}

/** Looked for once, as the OCI runtime. */
async function dockerMember(
  paths: AgentPaths,
  options: NativeOptions,
  socketPath: string | undefined,
): Promise<Member> {
  const version = needsRoot() ?? (await readEngineVersion(socketPath).catch((error: Error) => error));
  return {
    name: 'docker',
    pullsImages: true,
    hasOwnNetworks: true,
    networks: () => engineNetworks(socketPath),
    problem: () => (version instanceof Error ? version.message : undefined),
    unsupported: dockerUnsupported,
    hasLeftovers: () => !isEmpty(join(paths.runtimeDir, 'docker')),
    describe: () => describeDocker(String(version)),
    open: async () =>
      createDockerContainerizer({
        ...options,
        ...options.options,
        ...(socketPath !== undefined && { socketPath }),
        launcherBinary: await buildLauncher(),
      }),
  };
}

/** Ends the resident launchers when no container is left; without this they would end by themselves some seconds later. */
export async function endLaunchers(paths: AgentPaths): Promise<void> {
  for (const runtimeDir of [paths.runtimeDir, ociDirectory(paths)]) {
    if (!existsSync(runtimeDir)) continue;
    const root = join('tepui', paths.instance);
    const groups = () => makeLauncherGroups(runtimeDir === paths.runtimeDir ? root : `${root}.oci`);
    const launcher = await connectLauncher({ runtimeDir, groups });
    await launcher.shutdownIfIdle();
    launcher.close();
  }
}

/** Also of containerizers that were not opened, because nothing of theirs is left but this. */
export async function removeCgroupRoots({ instance }: AgentPaths): Promise<void> {
  for (const suffix of ['', '.oci', '.docker']) await removeSharedGroups(join('tepui', `${instance}${suffix}`));
}

function ociDirectory({ runtimeDir }: AgentPaths): string {
  return join(runtimeDir, 'oci');
}

/** Why an agent of a user does not hand containers on. */
function needsRoot(): Error | undefined {
  return rootlessState() && new Error('an agent without root has the containerizer native only');
}

function isEmpty(directory: string): boolean {
  return !existsSync(directory) || readdirSync(directory).length === 0;
}
