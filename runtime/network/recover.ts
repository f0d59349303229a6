/** The start after an earlier agent process: what it left is taken back or checked. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { check, collectGarbage } from './cni/chain.ts';
import { readNetworkDirectory } from './cni/configuration.ts';
import { hasGc, isSpecVersion } from './cni/spec-version.ts';
import { type NetworkContext, networkDirectory } from './context.ts';
import { isNamespaceHeld } from './is-namespace-held.ts';
import type { NetworkRecord } from './record.ts';
import { endStrayPlugins } from './stray-plugins.ts';

/** A network that hangs must not keep the agent from starting for long. */
const GC_TIMEOUT_MS = 10_000;

/** Resolves when nothing unexpected is left, or is left to `retry`. `checked` is the part that nobody has to wait for; it never rejects. */
export async function recoverNetworks(
  context: NetworkContext,
  expected: ReadonlySet<string>,
  detach: (groupId: string) => Promise<void>,
  retry: (groupId: string) => void,
): Promise<{ checked: Promise<void> }> {
  const records = await context.records.load();
  for (const [groupId, record] of records) context.known.set(groupId, record);
  const unfinished = [...records.values()].filter(({ infos }) => infos === undefined);
  await endStrayPlugins({
    containerIds: new Set(unfinished.map(({ groupId }) => groupId)),
    ...(context.isSoleUser && { collector: context.chainOptions.owner }),
  });
  const unexpected = new Set(
    [...records.keys(), ...(await listDirectories(context))].filter((groupId) => !expected.has(groupId)),
  );
  for (const groupId of unexpected) {
    try {
      await detach(groupId);
      context.logger.info({ containerID: groupId }, 'a network that no task has was taken back');
    } catch (err) {
      context.logger.warn(
        { err, containerID: groupId },
        'a network that no task has could not be taken back yet; it is retried',
      );
      retry(groupId);
    }
  }
  // Before anything new is attached: a network must never be told of fewer attachments than there are.
  if (context.isSoleUser) await collectAll(context);
  const complete = [...context.known.values()].filter(({ infos }) => infos !== undefined);
  return { checked: checkAll(context, complete) };
}

/** Task directories with a part of ours. Ids that cannot be ours are somebody else's. */
async function listDirectories(context: NetworkContext): Promise<string[]> {
  const names = await readdir(context.tasksDirectory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const own = await Promise.all(
    names.map(async (name) => {
      try {
        await readdir(networkDirectory(context, name));
        return true;
      } catch {
        return false;
      }
    }),
  );
  return names.filter((_, index) => own[index]);
}

async function checkAll(context: NetworkContext, records: NetworkRecord[]): Promise<void> {
  for (const record of records) {
    if (context.closing.signal.aborted) return;
    await checkOne(context, record);
  }
}

/** A running task is not ended for it: most of its network may well work, and the operator is told. */
async function checkOne(context: NetworkContext, record: NetworkRecord): Promise<void> {
  const directory = networkDirectory(context, record.groupId);
  for (const attachment of record.attachments) {
    try {
      if (attachment.result === undefined || !(await isNamespaceHeld(directory))) continue;
      await check(attachment, join(directory, 'net'), attachment.result, {
        ...context.chainOptions,
        pluginPath: record.pluginPath,
      });
    } catch (err) {
      // It may have been taken back, or be so just now.
      if (context.known.get(record.groupId) !== record) return;
      const { groupId, namespace, task } = record;
      context.logger.warn(
        { err, containerID: groupId, task: `${namespace}/${task}` },
        'a plug-in says that the network of a running task has changed',
      );
    }
  }
}

/** Each network that can is told which attachments there are, and drops others: for example those of a record that was lost with a disk. */
async function collectAll(context: NetworkContext): Promise<void> {
  const { networks } = await readNetworkDirectory(context.configDirectory);
  const options = { ...context.chainOptions, timeoutMs: Math.min(GC_TIMEOUT_MS, context.chainOptions.timeoutMs) };
  const attachments = [...context.known.values()].flatMap((record) => record.attachments);
  for (const network of networks.values()) {
    if (!network.cniVersions.some((version) => isSpecVersion(version) && hasGc(version))) continue;
    try {
      const chain = await context.resolver.resolve(network);
      const valid = attachments.filter((attachment) => attachment.chain.name === chain.name);
      await collectGarbage(chain, valid, options);
    } catch (err) {
      context.logger.warn({ err, network: network.name }, 'a network could not collect garbage');
    }
  }
}
