/** The docker containerizer: containers of a Docker Engine, through its socket. This file puts the parts together; each verb is a file beside it. */
import type { Logger } from 'pino';
import type { AgentIsolation } from '../../../crds/types.generated.ts';
import { detectCgroups } from '../../cgroups/detect.ts';
import { signalProcess } from '../../cgroups/kill.ts';
import { removeEmptyRoot } from '../../cgroups/leftovers.ts';
import { addressesOf, dial } from '../../launcher/dial.ts';
import type { Containerizer, ContainerResources } from '../containerizer.ts';
import { readBootId } from '../native/boot-id.ts';
import { dialHost } from '../native/dial.ts';
import { ContainerNotRunning } from '../native/exec.ts';
import { lostTermination } from '../native/termination.ts';
import { createOrphans } from '../orphans.ts';
import { type DockerContainer, type DockerContext, engineName } from './context.ts';
import { defaultDockerSocket } from './default-socket.ts';
import { destroyContainer } from './destroy.ts';
import { connectEngine, EngineUnavailable, isAlreadySo, isNotFound } from './engine.ts';
import type { ContainerStats, EngineVersion } from './engine-types.ts';
import { execInContainer } from './exec.ts';
import { processesOf } from './host-processes.ts';
import { launchContainer } from './launch.ts';
import { engineNetworks } from './networks.ts';
import { openDockerRecords } from './records.ts';
import { recoverContainers } from './recover.ts';
import { describeDocker, dockerUnsupported } from './unsupported.ts';
import { usageOf } from './usage.ts';

const SIGKILL = 9;
/** Docker 20.10, the oldest that is still in use with cgroup v2. */
const oldestApi = 1.41;

export interface DockerOptions {
  /** The machine's data directory. */
  dataDir: string;
  /** Per-boot directory below /run (tmpfs). */
  runtimeDir: string;
  /** Path of our cgroups below each hierarchy, for example `tepui/<instance>`: ours in the engine are in `<cgroupRoot>.docker`, where it lets us choose. */
  cgroupRoot: string;
  logger: Logger;
  /** Default /var/run/docker.sock. */
  socketPath?: string;
  launcherBinary: string;
  /** Seccomp profiles for type Localhost. Default `<dataDir>/agent/seccomp`. */
  seccompDir?: string;
  isolation?: () => AgentIsolation | undefined;
  bootId?: string;
}

/** Rejects with EngineUnavailable when there is no engine, or one that is too old. */
export async function createDockerContainerizer(options: DockerOptions): Promise<Containerizer> {
  const engine = connectEngine(options.socketPath ?? defaultDockerSocket);
  const version = await readEngineVersion(options.socketPath);
  const { CgroupDriver } = await engine.call<{ CgroupDriver: string }>('GET', '/info');
  const closed = new AbortController();
  const ownRoot = `${options.cgroupRoot}.docker`;
  const context: DockerContext = {
    engine,
    records: openDockerRecords(`${options.runtimeDir}/docker`),
    containers: new Map(),
    instance: options.cgroupRoot,
    cgroupHost: detectCgroups(),
    cgroupParent: CgroupDriver === 'cgroupfs' ? `/${ownRoot}` : undefined,
    seccompDirectory: options.seccompDir ?? `${options.dataDir}/agent/seccomp`,
    launcherBinary: options.launcherBinary,
    policy: () => options.isolation?.() ?? {},
    bootId: options.bootId ?? readBootId(),
    orphans: createOrphans(options.logger),
    logger: options.logger,
    closed: closed.signal,
  };
  const path = (containerId: string, rest: string) => `/containers/${engineName(containerId)}/${rest}`;
  return {
    name: 'docker',
    unsupported: dockerUnsupported,
    pullsImages: () => true,
    hasOwnNetworks: () => true,
    networks: () => engineNetworks(options.socketPath),
    recover: (expected) => recoverContainers(context, expected),
    removeOrphans: () => context.orphans.removeAll(),
    launch: (spec, signal) => launchContainer(context, spec, signal),
    wait: async (containerId) =>
      context.containers.get(containerId)?.termination.promise ?? lostTermination(containerId),
    signal: (containerId, signal) => signalContainer(context, containerId, signal),
    destroy: (containerId) => destroyContainer(context, containerId),
    async update(containerId, resources) {
      const container = running(context, containerId);
      await engine.call('POST', path(containerId, 'update'), { body: limitsOf(resources) });
      container.spec.resources = resources;
      context.records.rewrite({ bootId: context.bootId, spec: container.spec });
    },
    async usage(containerId) {
      const { spec } = running(context, containerId);
      const stats = await engine.call<ContainerStats>('GET', path(containerId, 'stats?stream=false&one-shot=true'));
      return usageOf(stats, spec.resources);
    },
    exec: (request) => execInContainer(context, request),
    async freeze(containerId, frozen) {
      running(context, containerId);
      await engine.call('POST', path(containerId, frozen ? 'pause' : 'unpause')).catch(unlessAlreadySo);
    },
    async dial(containerId, port, host, signal) {
      const { spec, launched } = running(context, containerId);
      if ((spec.task.spec.network?.mode ?? 'Host') === 'Host') return dialHost(addressesOf(host), port, signal);
      const { pid, startTimeTicks } = launched!;
      const target = { pid, startTimeTicks, port, ...(host !== undefined && { host }), ...(signal && { signal }) };
      return dial(context.launcherBinary, target);
    },
    describe: async () => [describeDocker(version)],
    async close() {
      closed.abort();
      context.orphans.close();
      for (const { logs } of context.containers.values()) {
        logs?.stop();
        await logs?.done.catch(() => {});
      }
      removeEmptyRoot(ownRoot);
    },
  };
}

/** As `20.10.24`. Rejects with EngineUnavailable. */
export async function readEngineVersion(socketPath = defaultDockerSocket): Promise<string> {
  const { Version, ApiVersion } = await connectEngine(socketPath)
    .call<EngineVersion>('GET', '/version', { timeoutMs: 3000 })
    .catch((error: Error) => {
      throw new EngineUnavailable(`containerizer docker: ${error.message}`, { cause: error });
    });
  if (Number(ApiVersion) < oldestApi)
    throw new EngineUnavailable(`containerizer docker needs Docker 20.10 or newer, this is ${Version}`);
  return Version;
}

/** The engine signals the first process only, ours reach all: but not the engine's init, which would forward it a second time. */
async function signalContainer(context: DockerContext, containerId: string, signal: number): Promise<void> {
  const container = context.containers.get(containerId);
  if (!container?.launched || container.ended) return;
  if (signal === SIGKILL) {
    await context.engine
      .call('POST', `/containers/${engineName(containerId)}/kill?signal=SIGKILL`)
      .catch(unlessAlreadySo);
    return;
  }
  const { pid } = container.launched;
  for (const process of processesOf(pid, context.cgroupHost)) if (process !== pid) signalProcess(process, signal);
}

function limitsOf({ requests, limits, pids }: ContainerResources) {
  const memory = limits.memBytes ?? requests.memBytes;
  const hasQuota = limits.cpus !== undefined && limits.cpus !== Infinity;
  return {
    CpuShares: Math.max(2, Math.round(requests.cpus * 1024)),
    CpuPeriod: 100_000,
    CpuQuota: hasQuota ? Math.max(1000, Math.round(limits.cpus! * 100_000)) : -1,
    Memory: memory === Infinity ? -1 : memory,
    MemorySwap: memory === Infinity ? -1 : memory,
    MemoryReservation: Math.min(memory, requests.memBytes),
    ...(pids !== undefined && { PidsLimit: pids }),
  };
}

function running({ containers }: DockerContext, containerId: string): DockerContainer {
  const container = containers.get(containerId);
  if (!container?.launched || container.ended) throw new ContainerNotRunning(containerId);
  return container;
}

function unlessAlreadySo(error: unknown): void {
  if (!isAlreadySo(error) && !isNotFound(error)) throw error;
}
