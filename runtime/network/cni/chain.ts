/** A network's plug-ins as one: in order for ADD and CHECK, in reverse for DEL, each with what came before it. */
import type { PluginConfiguration } from './configuration.ts';
import { type CniCommand, callPlugin, findPlugin, PluginFailed } from './plugin.ts';
import { type CniResult, parseResult } from './result.ts';
import { hasCheck, hasGc, type SpecVersion } from './spec-version.ts';

/** A network as it is used: with one version of the specification. Checkpointed with each attachment. */
export interface Chain {
  name: string;
  cniVersion: SpecVersion;
  disableCheck: boolean;
  disableGc: boolean;
  plugins: PluginConfiguration[];
}

/** One interface of one container: everything that DEL needs to be told again. */
export interface Attachment {
  chain: Chain;
  containerId: string;
  interfaceName: string;
  /** CNI_ARGS. */
  args: string;
  /** By capability; a plug-in gets those that it declares. */
  capabilities: Record<string, unknown>;
  /** `args` of each plug-in's configuration, beside what is written there. */
  extraArgs: Record<string, unknown>;
}

export interface ChainOptions {
  pluginPath: string;
  /** As PluginCall.owner. */
  owner?: string;
  /** For one call of one plug-in. */
  timeoutMs: number;
  /** Ends a call that goes on. */
  signal?: AbortSignal | undefined;
}

/**
 * Attaches. `onResult` is told the result after each plug-in, and awaited. Rejects with PluginFailed or PluginMissing; what was done until then stays
 * for `del`.
 */
export async function add(
  attachment: Attachment,
  namespacePath: string,
  options: ChainOptions,
  onResult: (result: CniResult) => Promise<void>,
): Promise<CniResult> {
  let result: CniResult | undefined;
  for (const plugin of attachment.chain.plugins) {
    const answer = await call('ADD', plugin, attachment, namespacePath, result, options);
    const program = plugin.type;
    if (answer === undefined) throw new PluginFailed({ program, command: 'ADD' }, { message: 'it answered no result' });
    try {
      result = parseResult(answer, attachment.chain.cniVersion);
    } catch (cause) {
      throw new PluginFailed({ program, command: 'ADD' }, { message: (cause as Error).message });
    }
    await onResult(result);
  }
  return result!;
}

/**
 * Detaches; repeatable, also for what was attached in part or not at all. A plug-in that fails does not keep the others from their work; then it
 * rejects with the first failure. `namespacePath` is empty when the namespace is gone.
 */
export async function del(
  attachment: Attachment,
  namespacePath: string,
  result: CniResult | undefined,
  options: ChainOptions,
): Promise<void> {
  const previous = hasCheck(attachment.chain.cniVersion) ? result : undefined;
  const failures: unknown[] = [];
  for (const plugin of attachment.chain.plugins.toReversed()) {
    try {
      await call('DEL', plugin, attachment, namespacePath, previous, options);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Whether the attachment is as it was made. Resolves when it is, and when nobody can tell; rejects with PluginFailed. */
export async function check(
  attachment: Attachment,
  namespacePath: string,
  result: CniResult,
  options: ChainOptions,
): Promise<void> {
  if (attachment.chain.disableCheck || !hasCheck(attachment.chain.cniVersion)) return;
  for (const plugin of attachment.chain.plugins)
    await call('CHECK', plugin, attachment, namespacePath, result, options);
}

/** Tells the network which attachments there are; its plug-ins remove all others. */
export async function collectGarbage(
  chain: Chain,
  valid: { containerId: string; interfaceName: string }[],
  options: ChainOptions,
): Promise<void> {
  if (chain.disableGc || !hasGc(chain.cniVersion)) return;
  const attachments = valid.map(({ containerId, interfaceName }) => ({
    containerID: containerId,
    ifname: interfaceName,
  }));
  for (const plugin of chain.plugins) {
    const configuration = {
      ...derived(chain, plugin),
      'cni.dev/valid-attachments': attachments,
      // The name in the specification's first draft, which plug-ins read too.
      'cni.dev/attachments': attachments,
    };
    const program = await findPlugin(options.pluginPath, plugin.type);
    await callPlugin({ command: 'GC', program, configuration, ...options });
  }
}

async function call(
  command: CniCommand,
  plugin: PluginConfiguration,
  { chain, containerId, interfaceName, args, capabilities, extraArgs }: Attachment,
  namespacePath: string,
  prevResult: CniResult | undefined,
  options: ChainOptions,
): Promise<Record<string, unknown> | undefined> {
  const wanted = Object.entries(capabilities).filter(([name]) => plugin.capabilities?.[name] === true);
  const written = typeof plugin.args === 'object' && plugin.args !== null ? plugin.args : {};
  return callPlugin({
    command,
    program: await findPlugin(options.pluginPath, plugin.type),
    configuration: {
      ...derived(chain, plugin),
      ...(Object.keys(extraArgs).length > 0 && { args: { ...written, ...extraArgs } }),
      ...(wanted.length > 0 && { runtimeConfig: Object.fromEntries(wanted) }),
      ...(prevResult && { prevResult }),
    },
    attachment: { containerId, namespacePath, interfaceName, args },
    ...options,
  });
}

/** The specification's execution configuration: `capabilities` is for us only. */
function derived(
  chain: Chain,
  { capabilities: _capabilities, ...plugin }: PluginConfiguration,
): Record<string, unknown> {
  return { ...plugin, cniVersion: chain.cniVersion, name: chain.name };
}
