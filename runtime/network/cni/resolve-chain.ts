/** From a configuration to a chain: its plug-ins are there, and one version of the specification is spoken by all of them. */
import { stat } from 'node:fs/promises';
import type { Chain, ChainOptions } from './chain.ts';
import type { NetworkConfiguration } from './configuration.ts';
import { callPlugin, findPlugin } from './plugin.ts';
import { negotiateVersion, SPEC_VERSIONS } from './spec-version.ts';

/** The configuration and its plug-ins have no version of the specification in common. */
export class VersionMismatch extends Error {
  override name = 'VersionMismatch';
}

export interface ChainResolver {
  /** Rejects with PluginMissing, PluginFailed or VersionMismatch. */
  resolve(network: NetworkConfiguration): Promise<Chain>;
}

/** Plug-ins are asked for their versions once, and again when their program file changes. */
export function createChainResolver(options: ChainOptions): ChainResolver {
  const known = new Map<string, Promise<string[]>>();
  const versionsOf = async (type: string): Promise<string[]> => {
    const program = await findPlugin(options.pluginPath, type);
    const { ino, mtimeMs, size } = await stat(program);
    const key = `${program} ${ino} ${mtimeMs} ${size}`;
    const asked = known.get(key) ?? askVersions(program, options);
    known.set(key, asked);
    asked.catch(() => known.delete(key));
    return asked;
  };
  return {
    async resolve({ name, cniVersions, disableCheck, disableGc, plugins }) {
      const types = [...new Set(plugins.map(({ type }) => type))];
      const supported = await Promise.all(types.map(versionsOf));
      const cniVersion = negotiateVersion(cniVersions, supported);
      if (cniVersion !== undefined) return { name, cniVersion, disableCheck, disableGc, plugins };
      const has = types.map((type, index) => `"${type}" ${supported[index]!.join(', ') || 'none'}`).join('; ');
      throw new VersionMismatch(
        `network "${name}" has cniVersion ${cniVersions.join(', ')}, Tepui speaks ${SPEC_VERSIONS.join(', ')}, its plug-ins speak: ${has}`,
      );
    },
  };
}

async function askVersions(program: string, options: ChainOptions): Promise<string[]> {
  const answer = await callPlugin({
    command: 'VERSION',
    program,
    // What the specification wants VERSION to be asked in: the version that every plug-in since 0.2.0 understands how to refuse.
    configuration: { cniVersion: SPEC_VERSIONS[0] },
    ...options,
  });
  const versions = answer?.supportedVersions;
  return Array.isArray(versions) ? versions.filter((version) => typeof version === 'string') : [];
}
