/** The agent of one data directory: takes back what runs, registers, then follows its documents until it is closed. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Agent } from '../../controllers/machinery/client/resources.ts';
import type { Agent as AgentDocument } from '../../crds/types.generated.ts';
import { openCheckpointDirectory } from '../checkpoint/directory.ts';
import { openDevices } from '../devices/index.ts';
import { openFetcher } from '../fetcher/index.ts';
import { openImages } from '../images/index.ts';
import { buildLauncher } from '../launcher/build.ts';
import { openNetworks } from '../network/index.ts';
import { withDiskLimits } from './disk-limits/limited-containerizer.ts';
import { openDiskParts } from './disk-limits/open.ts';
import { createAuthorizer } from './endpoint/authorize.ts';
import { type Endpoint, startEndpoint } from './endpoint/server.ts';
import { startSandboxHousekeeping } from './housekeeping/sandboxes.ts';
import { openMemoryVolumes } from './memory-volumes/memory-volumes.ts';
import { createAgentMetrics } from './metrics.ts';
import { type AgentFacts, policyOf } from './node/agent-status.ts';
import { connect } from './node/connect.ts';
import { openContainerizer } from './node/containerizer.ts';
import { keepPrograms } from './node/containerizer-programs.ts';
import { createIdRanges, defaultIdRanges } from './node/id-ranges.ts';
import { loadIdentity, readBootId } from './node/identity.ts';
import { lockInstance } from './node/lock.ts';
import { joinCluster, type Membership } from './node/membership.ts';
import { type NetworkSource, networkSource, watchNetworks } from './node/network-watch.ts';
import { type AgentPaths, preparePaths } from './node/paths.ts';
import { goArchitecture, readAddresses, readPlatform } from './node/platform.ts';
import type { AgentOptions, StartAgent } from './options.ts';
import type { TaskContext } from './tasks/context.ts';
import { tasksSource } from './tasks/endpoint-source.ts';
import { createTaskManager, type TaskManager } from './tasks/manager.ts';
import { TASK_RECORD, type TaskRecord } from './tasks/record.ts';
import { recoverTasks } from './tasks/recovery.ts';
import { isNewer } from './tasks/resource-version.ts';
import { roomLeft } from './tasks/room.ts';
import { createSlots } from './tasks/slots.ts';
import { openIdentities } from './volumes/identities.ts';
import { createVolumeKeeper } from './volumes/keeper.ts';
import { containersUsing, isVolumeInUse } from './volumes/users.ts';

export interface RunningAgent {
  name: string;
  agentId: string;
  /** The Unix socket of the endpoint. */
  socketPath: string;
  /** URL of the HTTPS endpoint, if there is one. */
  url: string | undefined;
  /** Resolves when the agent is registered and has seen its tasks. Never rejects; while the API server is away it waits. */
  ready: Promise<void>;
  /** Ends the agent; tasks go on running, and the next agent of this data directory takes them back. */
  close(): Promise<void>;
}

const STATUS_WRITES_AT_ONCE = 16;
const SIGKILL = 9;

/**
 * Resolves when earlier tasks are taken back and the endpoint listens; registration goes on in the background, so an agent also starts
 * while its API server is away. Rejects with one clear sentence when this machine or data directory cannot be used.
 */
export async function startAgent({
  dataDir,
  name,
  options = {},
  logger,
  ...connection
}: StartAgent): Promise<RunningAgent> {
  const paths = await preparePaths(dataDir, options.runtimeRoot);
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const undo of opened.splice(0).reverse()) await undo();
  };
  try {
    const lock = lockInstance(paths);
    opened.push(lock.release);
    const agent = await identify(paths, name, options);
    const { client, close: disconnect } = await connect(connection);
    opened.push(disconnect);
    let document: AgentDocument | undefined;
    const { ociRuntime, dockerSocket } = options;
    await keepPrograms(paths.meta, { ociRuntime, dockerSocket });
    let membership: Membership | undefined;
    const plain =
      options.containerizer ??
      (await openContainerizer(paths, logger, {
        spec: () => document?.spec,
        portRanges: () => document?.status?.allocatable?.ports,
        ociRuntime,
        dockerSocket,
      }));
    opened.push(() => plain.close());
    const networks = await openNetworks({
      agentDirectory: paths.root,
      runtimeDir: paths.runtimeDir,
      ...(options.cniConfigDirectory && { configDirectory: options.cniConfigDirectory }),
      ...(options.cniPluginPath && { pluginPath: options.cniPluginPath }),
      ...(options.strict !== undefined && { strict: options.strict }),
      logger,
    });
    opened.push(() => networks.close());
    const disk = await openDiskParts({
      paths,
      intervalMs: (options.diskWatchIntervalSeconds ?? 15) * 1000,
      strict: options.strict ?? true,
      kill: (containerId) => plain.signal(containerId, SIGKILL),
      onUsage: (containerId) => manager.diskUsageChanged(containerId),
      logger,
    });
    opened.push(disk.sandboxes.close);
    const containerizer = withDiskLimits(plain, disk.sandboxes);
    const volumes = createVolumeKeeper({
      client,
      agentName: agent.name,
      root: paths.volumes,
      dataDir: paths.dataDir,
      disks: () => document?.spec.disks ?? [],
      identities: await openIdentities(join(paths.meta, 'volumes'), options.strict ?? true),
      quota: disk.quota,
      projectIds: disk.projectIds,
      intervalMs: (options.diskWatchIntervalSeconds ?? 15) * 1000,
      isInUse: (namespace, volume) => isVolumeInUse(manager.runners(), namespace, volume),
      async onExceeded(namespace, volume, message) {
        for (const containerId of containersUsing(manager.runners(), namespace, volume))
          await disk.sandboxes.exceeded(containerId, message);
      },
      onChange() {
        manager.wakeAll();
        membership?.factsChanged();
      },
      logger,
    });
    const memoryVolumes = openMemoryVolumes({ client, runtimeDir: paths.runtimeDir, logger });
    opened.push(memoryVolumes.close);
    const images = await openImages({
      directory: paths.images,
      registriesFile: paths.registries,
      binary: await buildLauncher(),
      bootId: agent.bootId,
      diskHeadroom: () => document?.spec.housekeeping?.diskHeadroom ?? 0.1,
      logger,
    });
    opened.push(images.close);
    const fetcher = await openFetcher({
      cacheDirectory: paths.fetcher,
      allowedFilePaths: () => policyOf(document).allowedHostPaths,
    });
    opened.push(fetcher.close);
    const devices = openDevices({
      policy: () => document?.spec.isolation ?? {},
      inUse: () => gpusInUse(manager),
      onFreed: () => manager.wakeAll(),
    });
    const context: TaskContext = {
      agent: { ...agent, canFreeze: containerizer.freeze !== undefined },
      client,
      containerizer,
      records: await openRecords(paths, options, logger),
      networks,
      idRanges: createIdRanges(
        () => ({ ...defaultIdRanges, ...document?.spec.isolation?.userNamespaces }),
        paths.instance,
      ),
      sandboxRoot: paths.sandboxes,
      volumes,
      memoryVolumes,
      images,
      fetcher,
      diskLimits: disk.sandboxes,
      devices,
      room: () =>
        roomLeft(
          document?.status?.allocatable,
          [...manager.runners()].map(({ record }) => record),
        ),
      policy: () => policyOf(document),
      async refreshPolicy() {
        const newest = await client.get(Agent, { name: agent.name });
        if (newest) documentChanged(newest);
      },
      slots: createSlots(options.maxConcurrentLaunches ?? 8),
      deliverySlots: createSlots(STATUS_WRITES_AT_ONCE),
      logger,
      metrics: createAgentMetrics(() => manager.counts()),
      now: Date.now,
    };
    const manager: TaskManager = createTaskManager(context);
    opened.push(() => manager.close());
    await recoverTasks(context, manager);
    const housekeeping = startSandboxHousekeeping({
      context,
      policy: () => document && (document.spec.housekeeping ?? null),
      states: () => sandboxStates(manager),
      logger,
    });
    opened.push(() => housekeeping.close());

    const endpoint = await startEndpoint({
      agentName: agent.name,
      socketPath: paths.socket,
      stateDirectory: paths.meta,
      tcp: options.endpoint === false ? undefined : { host: '127.0.0.1', port: 0, ...options.endpoint },
      tasks: tasksSource(manager, containerizer),
      images,
      metrics: context.metrics.registry,
      authorizer: createAuthorizer(client),
      logger,
    });
    opened.push(endpoint.close);
    const source = networkSource(networks, containerizer);
    const facts = await readFacts(context, paths, options, endpoint, source);
    const networkWatch = watchNetworks({
      source,
      known: facts.networks,
      onChange(changed) {
        facts.networks = changed;
        membership?.factsChanged();
      },
      logger,
    });
    opened.push(async () => networkWatch.close());
    /** Its spec is this machine's policy. */
    function documentChanged(changed: AgentDocument): void {
      const known = document?.metadata.uid === changed.metadata.uid ? document : undefined;
      // A watch may be behind what was read past it.
      if (!isNewer(changed.metadata.resourceVersion, known?.metadata.resourceVersion)) return;
      document = changed;
      if (changed.metadata.generation === known?.metadata.generation) return;
      manager.wakeAll();
      void housekeeping.collect();
      networkWatch.lookAgain();
    }
    const joined = joinCluster({
      client,
      holder: {
        name: agent.name,
        identity: `${agent.name}_${agent.agentId}`,
        durationSeconds: options.leaseDurationSeconds ?? 75,
      },
      heartbeatIntervalMs: (options.heartbeatIntervalSeconds ?? 15) * 1000,
      labels: {
        'kubernetes.io/hostname': agent.hostname,
        'tepui.dev/os': 'linux',
        'tepui.dev/arch': goArchitecture(),
        ...options.labels,
      },
      facts,
      workDir: paths.root,
      gpus: (isolation) => devices.gpus(isolation).length,
      onAgent: documentChanged,
      tasks: manager,
      volumes,
      metrics: context.metrics,
      logger,
    });
    membership = joined;
    opened.push(async () => {
      await joined.close();
      await volumes.close();
    });
    const { ready } = joined;
    return { name: agent.name, agentId: agent.agentId, socketPath: paths.socket, url: endpoint.url, ready, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** CDI names of the GPUs of all tasks that something is left of. */
function* gpusInUse(manager: TaskManager): Iterable<string> {
  for (const { record } of manager.runners())
    if (record?.gpus && record.phase !== 'Cleaned') yield* Object.values(record.gpus).flat();
}

function sandboxStates(manager: TaskManager): Map<string, 'Running' | 'Ended'> {
  return new Map(
    [...manager.runners()].flatMap(({ record }) =>
      record ? [[record.groupId, record.phase === 'Cleaned' ? 'Ended' : 'Running'] as const] : [],
    ),
  );
}

async function identify(
  paths: AgentPaths,
  name: string | undefined,
  options: AgentOptions,
): Promise<TaskContext['agent']> {
  const stored = await loadIdentity(paths.meta, name);
  const bootId = options.bootId ?? (await readBootId());
  return { name: stored.name, agentId: stored.agentId, bootId, hostname: hostname() };
}

function openRecords(
  paths: AgentPaths,
  { strict = true }: AgentOptions,
  logger: StartAgent['logger'],
): Promise<TaskContext['records']> {
  return openCheckpointDirectory<TaskRecord>(paths.taskRecords, TASK_RECORD, {
    strict,
    onCorrupt: (err) => logger.error({ err }, 'a corrupt task record was left out'),
  });
}

async function readFacts(
  { agent, containerizer }: TaskContext,
  paths: AgentPaths,
  options: AgentOptions,
  endpoint: Endpoint,
  source: NetworkSource,
): Promise<AgentFacts> {
  return {
    agentId: agent.agentId,
    bootId: agent.bootId,
    hostname: agent.hostname,
    version: options.version ?? '0.1.0',
    startTime: new Date().toISOString(),
    addresses: readAddresses(agent.hostname),
    endpoint: { socketPath: paths.socket, ...(endpoint.url && { url: endpoint.url, caData: endpoint.caData }) },
    platform: await readPlatform(),
    containerizers: (await containerizer.describe?.()) ?? [{ name: containerizer.name }],
    networks: (await source.describe()).networks,
  };
}
