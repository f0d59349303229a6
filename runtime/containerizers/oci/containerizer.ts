/** The OCI containerizer: any OCI runtime on PATH makes the containers, out of the same launch data as the native one's. */
import { mkdirSync } from 'node:fs';
import { detectCgroups } from '../../cgroups/detect.ts';
import { removeEmptyRoot } from '../../cgroups/leftovers.ts';
import { buildLauncher } from '../../launcher/build.ts';
import type { Containerizer } from '../containerizer.ts';
import { createNativeContainerizer, type NativeOptions } from '../native/containerizer.ts';
import { openBundles } from './bundles.ts';
import { createOciDelegate } from './delegate.ts';
import { findOciRuntime, type OciRuntime } from './runtime.ts';
import { isStatic } from './static-program.ts';
import { describeOci, ociUnsupported } from './unsupported.ts';

export interface OciOptions extends NativeOptions {
  /** Name on PATH or absolute path. Default: the first of crun, runc, youki that is there. */
  runtime?: string;
}

/** A containerizer of the name oci. Rejects with OciRuntimeUnavailable, or for what the native one rejects for. */
export async function createOciContainerizer({
  runtime: wanted,
  ...options
}: OciOptions): Promise<Containerizer & { runtime: OciRuntime }> {
  const runtime = await findOciRuntime(wanted);
  // Apart from the native one's: each takes what it does not know below its root for an orphan.
  const runtimeDir = `${options.runtimeDir}/oci`;
  const cgroupRoot = `${options.cgroupRoot}.oci`;
  mkdirSync(runtimeDir, { recursive: true, mode: 0o700 });
  const binary = options.options?.launcherBinary ?? (await buildLauncher());
  const cgroupHost = detectCgroups();
  const containerizer = await createNativeContainerizer({
    ...options,
    runtimeDir,
    cgroupRoot,
    options: {
      ...options.options,
      launcherBinary: binary,
      exitDirectory: `${options.dataDir}/agent/containers-oci`,
      delegate: {
        name: 'oci',
        unsupported: ociUnsupported,
        create: (context, host) =>
          createOciDelegate({
            runtime,
            bundles: openBundles(`${runtimeDir}/bundles`),
            state: `${runtimeDir}/state`,
            host,
            cgroupHost,
            cgroupRoot,
            ...(isStatic(binary) && { init: binary }),
            isolators: () => context.isolators,
            specOf: (containerId) => context.containers.get(containerId)?.spec,
          }),
      },
    },
  });
  return {
    ...containerizer,
    runtime,
    // Ids are those of the host: a namespace that the agent gives where it can is not used.
    launch: ({ userNamespace: _, ...spec }, signal) => containerizer.launch(spec, signal),
    describe: async () => [describeOci(runtime)],
    async close() {
      await containerizer.close();
      removeEmptyRoot(cgroupRoot);
    },
  };
}
