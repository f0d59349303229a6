/** Makes a task's network: intent on disk, namespace, attachments one after another, files, and the whole on disk before it is acknowledged. */
import { mkdir } from 'node:fs/promises';
import type { NetworkInfo, Task } from '../../crds/types.generated.ts';
import { holdNamespaces } from '../launcher/hold.ts';
import { type PortMapping, planAttachments, shownMappings } from './attachments.ts';
import { add, type Chain } from './cni/chain.ts';
import { readNetworkDirectory } from './cni/configuration.ts';
import { interfaceInfo } from './cni/result.ts';
import { type NetworkContext, networkDirectory } from './context.ts';
import { hostnameOf, needsFiles, writeTaskFiles } from './files/task-files.ts';
import { hostNetworkInfos } from './host-addresses.ts';
import { isNamespaceHeld } from './is-namespace-held.ts';
import { NetworkSetUpFailed, type TaskNetworkSetup } from './networks.ts';
import type { NetworkRecord } from './record.ts';
import { tearDown } from './tear-down.ts';

export async function setUp(
  context: NetworkContext,
  task: Task,
  groupId: string,
  signal?: AbortSignal,
): Promise<TaskNetworkSetup> {
  const directory = networkDirectory(context, groupId);
  try {
    switch (task.spec.network?.mode ?? 'Host') {
      case 'Host': {
        const infos = hostNetworkInfos();
        return { ...(await filesOnly(task, directory, infos)), infos };
      }
      case 'None':
        return { ...(await isolated(context, task, directory)), infos: [] };
      case 'Cni':
        return await attached(context, task, groupId, directory, signal);
    }
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new NetworkSetUpFailed((cause as Error).message, { cause });
  }
}

/** A container alone gets its namespace from the containerizer, which is faster; several have to share one. */
async function isolated(
  context: NetworkContext,
  task: Task,
  directory: string,
): Promise<Pick<TaskNetworkSetup, 'network'>> {
  if (task.spec.containers.length + (task.spec.initContainers?.length ?? 0) === 1)
    return filesOnly(task, directory, []);
  await makeDirectory(directory);
  const { net } = await holdNamespaces(directory, ['net'], context.launcher);
  const files = needsFiles(task) ? await writeTaskFiles(directory, task, { addresses: [], dns: [] }) : undefined;
  return { network: { namespacePath: net, hostname: hostnameOf(task), ...(files && { files }) } };
}

async function filesOnly(
  task: Task,
  directory: string,
  infos: NetworkInfo[],
): Promise<Pick<TaskNetworkSetup, 'network'>> {
  if (!needsFiles(task)) return {};
  await makeDirectory(directory);
  const addresses = infos.flatMap(({ ipAddresses = [] }) => ipAddresses).slice(0, 1);
  const files = await writeTaskFiles(directory, task, { addresses, dns: [] });
  return { network: { hostname: hostnameOf(task), files } };
}

async function attached(
  context: NetworkContext,
  task: Task,
  groupId: string,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<TaskNetworkSetup> {
  const earlier = context.known.get(groupId);
  const complete = earlier?.infos !== undefined && (await isNamespaceHeld(directory));
  if (earlier !== undefined && !complete) await tearDown(context, groupId);
  const record = complete ? earlier! : await attach(context, task, groupId, directory, signal);
  const infos = record.infos!;
  const files = await writeTaskFiles(directory, task, {
    addresses: infos.flatMap(({ ipAddresses = [] }) => ipAddresses),
    dns: record.attachments.flatMap(({ result }) => (result?.dns ? [result.dns] : [])),
  });
  return { network: { namespacePath: `${directory}/net`, hostname: hostnameOf(task), files }, infos };
}

async function attach(
  context: NetworkContext,
  task: Task,
  groupId: string,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<NetworkRecord> {
  const attachments = planAttachments(task, groupId, await findChains(context, task));
  const { namespace = '', name = '' } = task.metadata;
  const intent: NetworkRecord = {
    groupId,
    namespace,
    task: name,
    attachments,
    pluginPath: context.chainOptions.pluginPath,
  };
  context.known.set(groupId, intent);
  try {
    await makeDirectory(directory);
    // An empty namespace is found by its directory, so it needs no record; what plug-ins do does.
    const holding = holdNamespaces(directory, ['net'], context.launcher);
    const writing = context.records.write(groupId, intent);
    // Both are over before anything is taken back.
    await Promise.allSettled([holding, writing]);
    await writing;
    const { net } = await holding;
    const record = await addAll(context, intent, net, signal);
    context.known.set(groupId, record);
    await context.records.write(groupId, record);
    return record;
  } catch (error) {
    await tearDown(context, groupId).catch((err: unknown) => {
      context.logger.warn({ err, containerID: groupId }, 'a network that failed could not be taken back at once');
    });
    throw error;
  }
}

async function addAll(
  context: NetworkContext,
  intent: NetworkRecord,
  namespacePath: string,
  signal: AbortSignal | undefined,
): Promise<NetworkRecord> {
  let record = intent;
  const infos: NetworkInfo[] = [];
  for (const [index, attachment] of intent.attachments.entries()) {
    signal?.throwIfAborted();
    const result = await add(attachment, namespacePath, { ...context.chainOptions, signal }, async (answer) => {
      const attachments = record.attachments.with(index, { ...attachment, result: answer });
      record = { ...record, attachments };
      context.known.set(record.groupId, record);
      await context.records.write(record.groupId, record, { durable: false });
    });
    const { chain, interfaceName, capabilities } = attachment;
    const mappings = (capabilities.portMappings ?? []) as PortMapping[];
    const { addresses, gateways, mac } = interfaceInfo(result, interfaceName);
    infos.push({
      name: chain.name,
      interfaceName,
      ...(addresses.length > 0 && { ipAddresses: addresses }),
      ...(gateways.length > 0 && { gateways }),
      ...(mac && { macAddress: mac }),
      ...(mappings.length > 0 && { portMappings: shownMappings(mappings) }),
    });
  }
  return { ...record, infos };
}

async function findChains(context: NetworkContext, task: Task): Promise<Chain[]> {
  const { networks, problems } = await readNetworkDirectory(context.configDirectory);
  const wanted = task.spec.network?.networks ?? [];
  return Promise.all(
    wanted.map(({ name }, index) => {
      const network = networks.get(name);
      if (network !== undefined) return context.resolver.resolve(network);
      const has = networks.size > 0 ? [...networks.keys()].sort().join(', ') : 'none';
      const broken = problems.map(({ path, message }) => `; ${path} cannot be used: ${message}`).join('');
      throw new NetworkSetUpFailed(
        `spec.network.networks[${index}].name: this agent has no network "${name}" (it has: ${has}; ${context.configDirectory})${broken}`,
      );
    }),
  );
}

/** Only root passes: the namespace file and the files of the task are given to its containers by mounts. */
async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
}
