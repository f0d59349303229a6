/**
 * CNI network configurations, as the operator put them into a directory: `*.conflist`, `*.conf` and `*.json`, each a list of plug-ins or a single one. The
 * directory is read anew for every attachment, so that a new network needs no restart; what an attachment was made with is kept with it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSpecVersion, SPEC_VERSIONS } from './spec-version.ts';

/** One plug-in of a chain, as written. */
export interface PluginConfiguration {
  /** Name of the program. */
  type: string;
  /** What the plug-in wants to be told per attachment, for example `{portMappings: true}`. */
  capabilities?: Record<string, boolean>;
  [key: string]: unknown;
}

export interface NetworkConfiguration {
  name: string;
  /** Versions of the CNI specification that it can be used with, as written. At least one that we speak. */
  cniVersions: string[];
  disableCheck: boolean;
  disableGc: boolean;
  plugins: PluginConfiguration[];
  /** The file. */
  path: string;
}

export interface ConfigurationProblem {
  path: string;
  message: string;
}

export interface NetworkDirectory {
  /** By name; of two with the same name the one whose file comes first. */
  networks: Map<string, NetworkConfiguration>;
  /** Files that cannot be used, and why. They do not keep others from being used. */
  problems: ConfigurationProblem[];
}

const EXTENSION = /\.(conflist|conf|json)$/;
/** The specification's rule for names of networks; for plug-ins it keeps their paths below the plug-in directories. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const MAX_BYTES = 1 << 20;

/** A directory that does not exist has no networks. */
export async function readNetworkDirectory(directory: string): Promise<NetworkDirectory> {
  const result: NetworkDirectory = { networks: new Map(), problems: [] };
  for (const file of await listFiles(directory)) {
    const path = join(directory, file);
    try {
      const network = parseConfiguration(await readText(path), path);
      const known = result.networks.get(network.name);
      if (known) throw new Error(`network "${network.name}" is defined in ${known.path} already`);
      result.networks.set(network.name, network);
    } catch (error) {
      result.problems.push({ path, message: (error as Error).message });
    }
  }
  return result;
}

/** Throws an Error that names the key. Pure. */
export function parseConfiguration(text: string, path: string): NetworkConfiguration {
  const content = parseObject(text);
  const isList = 'plugins' in content;
  const name = content.name;
  if (typeof name !== 'string' || !NAME.test(name)) throw new Error('name: needs letters, digits and _ . -');
  const plugins = isList ? content.plugins : [withoutListKeys(content)];
  if (!Array.isArray(plugins) || plugins.length === 0) throw new Error('plugins: needs at least one');
  return {
    name,
    cniVersions: versionsOf(content),
    disableCheck: flag(content, 'disableCheck'),
    disableGc: flag(content, 'disableGC'),
    plugins: plugins.map((plugin, index) => parsePlugin(plugin, isList ? `plugins[${index}]` : '')),
    path,
  };
}

/** Names of the capabilities that some plug-in of the chain declares. Pure. */
export function capabilitiesOf({ plugins }: Pick<NetworkConfiguration, 'plugins'>): string[] {
  const names = plugins.flatMap(({ capabilities = {} }) =>
    Object.keys(capabilities).filter((name) => capabilities[name] === true),
  );
  return [...new Set(names)].sort();
}

async function listFiles(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((file) => EXTENSION.test(file) && !file.startsWith('.')).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  if (bytes.length > MAX_BYTES) throw new Error('is larger than 1 MiB');
  return bytes.toString('utf8');
}

function parseObject(text: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new Error(`is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw new Error('is not a JSON object');
  return content as Record<string, unknown>;
}

/** `cniVersion` and, since 1.1, `cniVersions`. */
function versionsOf(content: Record<string, unknown>): string[] {
  const listed = Array.isArray(content.cniVersions) ? content.cniVersions : [];
  const versions = [...new Set([content.cniVersion, ...listed])].filter((version) => version !== undefined);
  if (!versions.every((version) => typeof version === 'string')) throw new Error('cniVersion: must be a text');
  if (!versions.some((version) => isSpecVersion(version)))
    throw new Error(
      `cniVersion: needs one of ${SPEC_VERSIONS.join(', ')}${versions.length ? `, not ${versions.join(', ')}` : ''}`,
    );
  return versions;
}

function parsePlugin(plugin: unknown, place: string): PluginConfiguration {
  const at = (key: string): string => (place === '' ? key : `${place}.${key}`);
  if (typeof plugin !== 'object' || plugin === null) throw new Error(`${place}: must be an object`);
  const { type, capabilities } = plugin as Record<string, unknown>;
  if (typeof type !== 'string' || !NAME.test(type)) throw new Error(`${at('type')}: needs the name of a plug-in`);
  if (capabilities !== undefined && (typeof capabilities !== 'object' || capabilities === null))
    throw new Error(`${at('capabilities')}: must be an object`);
  return plugin as PluginConfiguration;
}

function withoutListKeys(content: Record<string, unknown>): Record<string, unknown> {
  const {
    name: _name,
    cniVersion: _version,
    cniVersions: _versions,
    disableCheck: _c,
    disableGC: _g,
    ...plugin
  } = content;
  return plugin;
}

/** libcni also takes the texts "true" and "false". */
function flag(content: Record<string, unknown>, key: string): boolean {
  const value = content[key];
  if (value === undefined || value === false || value === 'false') return false;
  if (value === true || value === 'true') return true;
  throw new Error(`${key}: must be true or false`);
}
