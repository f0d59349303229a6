/** `openNetworks`: the parts put together. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { openCheckpointDirectory } from '../checkpoint/directory.ts';
import { createChainResolver } from './cni/resolve-chain.ts';
import type { NetworkContext } from './context.ts';
import { DEFAULT_PLUGIN_PATH } from './default-plugin-path.ts';
import { describeNetworks } from './describe.ts';
import type { Networks } from './networks.ts';
import { NETWORK_RECORD, type NetworkRecord } from './record.ts';
import { recoverNetworks } from './recover.ts';
import { createRetries } from './retries.ts';
import { createSerializer } from './serializer.ts';
import { setUp } from './set-up.ts';
import { tearDown } from './tear-down.ts';

export interface NetworkOptions {
  /** `<data>/agent`: attachments are checkpointed in `networks` below it, and configurations are in `cni/net.d` unless told otherwise. */
  agentDirectory: string;
  /** Per-boot directory: a task's namespace and files are in `tasks/<groupId>/network`. */
  runtimeDir: string;
  /**
   * Directory of CNI configurations. Default: `<agentDirectory>/cni/net.d`, made when it is not there. Only networks of the default directory are
   * told to collect garbage: others may be shared with other users of CNI, whose attachments we do not know.
   */
  configDirectory?: string;
  /** Directories of plug-ins, separated by colons. Default: CNI_PATH, else /opt/cni/bin:/usr/lib/cni. */
  pluginPath?: string;
  /** For one call of a plug-in. Default: 60 000. */
  pluginTimeoutMs?: number;
  /** The launcher's program. Default: built on first use. */
  launcherBinary?: string;
  /** A corrupt checkpoint rejects the recovery (true, the default), or is logged and left out (false). */
  strict?: boolean;
  logger: Logger;
}

export async function openNetworks(options: NetworkOptions): Promise<Networks> {
  const { agentDirectory, runtimeDir, configDirectory, logger, strict = true } = options;
  const ownDirectory = join(agentDirectory, 'cni/net.d');
  if (configDirectory === undefined) await mkdir(ownDirectory, { recursive: true, mode: 0o755 });
  else await readdir(configDirectory);
  const chainOptions = {
    pluginPath: options.pluginPath ?? (process.env.CNI_PATH || DEFAULT_PLUGIN_PATH),
    timeoutMs: options.pluginTimeoutMs ?? 60_000,
    owner: agentDirectory,
  };
  const context: NetworkContext = {
    records: await openCheckpointDirectory<NetworkRecord>(join(agentDirectory, 'networks'), NETWORK_RECORD, {
      strict,
      onCorrupt: (err) => logger.error({ err }, 'a corrupt network record was left out'),
    }),
    known: new Map(),
    tasksDirectory: join(runtimeDir, 'tasks'),
    configDirectory: configDirectory ?? ownDirectory,
    isSoleUser: configDirectory === undefined,
    chainOptions,
    resolver: createChainResolver(chainOptions),
    launcher: options.launcherBinary === undefined ? {} : { binary: options.launcherBinary },
    closing: new AbortController(),
    logger,
  };
  const inOrder = createSerializer();
  const detach = (groupId: string): Promise<void> => inOrder(groupId, () => tearDown(context, groupId));
  const retries = createRetries(context, detach);
  let background: Promise<void> | undefined;
  return {
    setUp: (task, groupId, signal) => inOrder(groupId, () => setUp(context, task, groupId, signal)),
    tearDown: detach,
    async recover(expected) {
      background = (await recoverNetworks(context, new Set(expected), detach, retries.add)).checked;
    },
    infosOf: (groupId) => context.known.get(groupId)?.infos,
    describe: () => describeNetworks(context),
    configDirectory: context.configDirectory,
    async close() {
      context.closing.abort();
      retries.close();
      await background;
    },
  };
}
