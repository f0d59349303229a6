/** A real API server with Tepui's kinds and a real agent with the native containerizer; everything in directories of its own. */
import { existsSync, globSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { type ApiServer, startApiServer } from '../../../../apiserver/server.ts';
import { createApiClient } from '../../../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../../../controllers/machinery/client/client.ts';
import { loadClusterConfig } from '../../../../controllers/machinery/client/kubeconfig.ts';
import { CustomResourceDefinition, Namespace, Task } from '../../../../controllers/machinery/client/resources.ts';
import { loadCrds } from '../../../../crds/load.ts';
import type { TaskContainer, Task as TaskDocument, TaskSpec } from '../../../../crds/types.generated.ts';
import { type AgentOptions, cleanupAgent, type RunningAgent, startAgent } from '../../../../runtime/agent/index.ts';
import { isTerminal } from '../../../../runtime/agent/tasks/status.ts';
import { allHierarchies } from '../../../../runtime/cgroups/leftovers.ts';
import { SLOW } from '../../../setup/slow.ts';

export interface Platform {
  client: ApiClient;
  kubeconfig: string;
  /** The data directory of the agent. */
  dataDir: string;
  runtimeRoot: string;
  agentName: string;
  logger: Logger;
  /** false: the API server has custom resources only, no secrets and no reviews of tokens. */
  hasCore: boolean;
  /** Everything that was logged, for checks that something was not. */
  logged(): string;
  startAgent(options?: AgentOptions): Promise<RunningAgent>;
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  /** A Task that is bound to the agent, as the scheduler would bind it. */
  createTask(name: string, container: Partial<TaskContainer>, spec?: Partial<TaskSpec>): Promise<TaskDocument>;
  task(name: string): Promise<TaskDocument | undefined>;
  /** Waits for a version of the task that satisfies the condition. */
  until(name: string, condition: (task: TaskDocument) => boolean, timeoutMs?: number): Promise<TaskDocument>;
  untilState(name: string, state: string, timeoutMs?: number): Promise<TaskDocument>;
  untilEnded(name: string): Promise<TaskDocument>;
  untilDeleted(name: string): Promise<void>;
  kill(name: string): Promise<unknown>;
  /** Ends all agents and tasks and removes everything. */
  close(): Promise<void>;
}

const foreign = process.env.TEPUI_TEST_KUBECONFIG || undefined;
/** Of all documents of these tests: one of its own where the server is not. */
export const NAMESPACE = foreign ? `agent-test-${Math.random().toString(36).slice(2, 8)}` : 'default';

/** With `TEPUI_TEST_KUBECONFIG` the API server of that file is used in place of an embedded one; it has Tepui's kinds installed. */
export async function startPlatform(): Promise<Platform> {
  const base = mkdtempSync(join(tmpdir(), 'tepui-agent-test-'));
  const dataDir = join(base, 'agent-data');
  const runtimeRoot = join(base, 'run');
  const lines: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line) => void lines.push(line) });
  const serverOptions = { dataDir: join(base, 'server-data'), logger: pino({ level: 'silent' }), shutdownGraceMs: 100 };
  let server: ApiServer | undefined = foreign ? undefined : await startApiServer(serverOptions);
  const port = server?.port;
  const kubeconfig = foreign ?? server!.kubeconfigPath;
  const client = createApiClient(await loadClusterConfig({ kubeconfig }));
  const agentName = `agent-${Math.random().toString(36).slice(2, 8)}`;
  try {
    if (foreign) await client.create(Namespace, { metadata: { name: NAMESPACE } }).catch(() => {});
    else await installCrds(client);
  } catch (error) {
    // A server that stays open keeps the test process alive for ever.
    await client.close();
    await server?.close();
    rmSync(base, { recursive: true, force: true });
    throw error;
  }
  const hasCore = (await client.raw('GET', '/api/v1')).status === 200;
  const agents = new Set<RunningAgent>();
  const created = new Set<string>();

  const task = (name: string) => client.get(Task, { namespace: NAMESPACE, name });
  const until: Platform['until'] = async (name, condition, timeoutMs = 15_000) => {
    for (const deadline = Date.now() + timeoutMs * SLOW; ; await sleep(10)) {
      const found = await task(name);
      if (found !== undefined && condition(found)) return found;
      if (Date.now() > deadline)
        throw new Error(`task ${name} did not come to it: ${JSON.stringify(found?.status, null, 1)}`);
    }
  };
  return {
    client,
    kubeconfig,
    dataDir,
    runtimeRoot,
    agentName,
    logger,
    hasCore,
    logged: () => lines.join(''),
    async startAgent(options) {
      const agent = await startAgent({
        kubeconfig,
        dataDir,
        name: agentName,
        logger,
        options: { runtimeRoot, ...options },
      });
      agents.add(agent);
      const close = agent.close;
      return Object.assign(agent, {
        close: async () => {
          agents.delete(agent);
          await close();
        },
      });
    },
    async stopServer() {
      await server?.close();
      server = undefined;
    },
    async startServer() {
      server = await startApiServer({ ...serverOptions, port });
    },
    async createTask(name, container, spec = {}) {
      created.add(name);
      return client.create(Task, {
        metadata: { namespace: NAMESPACE, name, finalizers: ['tepui.dev/task-cleanup'] },
        spec: {
          binding: { agentName },
          killPolicy: { gracePeriodSeconds: 1 },
          containers: [{ name: 'main', ...container }],
          ...spec,
        },
      });
    },
    task,
    until,
    untilState: (name, state, timeoutMs) => until(name, ({ status }) => status?.state === state, timeoutMs),
    untilEnded: (name) => until(name, ({ status }) => isTerminal(status?.state)),
    async untilDeleted(name) {
      for (const deadline = Date.now() + 15_000 * SLOW; (await task(name)) !== undefined; await sleep(10)) {
        if (Date.now() > deadline) throw new Error(`task ${name} is still there`);
      }
    },
    kill: (name) => client.mergePatch(Task, { namespace: NAMESPACE, name }, { spec: { desiredState: 'Killed' } }),
    async close() {
      for (const agent of [...agents]) await agent.close();
      const instances = existsSync(runtimeRoot) ? readdirSync(runtimeRoot) : [];
      await cleanupAgent({ dataDir, runtimeRoot, logger });
      const left = groupsLeft(instances);
      if (foreign) await removeTasks(client, created);
      await client.close();
      await server?.close();
      rmSync(base, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`cgroups are left: ${left.join(', ')}`);
    },
  };
}

/** The same with an agent that is ready. */
export async function startPlatformWithAgent(
  options?: AgentOptions,
): Promise<{ platform: Platform; agent: RunningAgent }> {
  const platform = await startPlatform();
  try {
    const agent = await platform.startAgent(options);
    await agent.ready;
    return { platform, agent };
  } catch (error) {
    await platform.close();
    throw error;
  }
}

/** Roots of agents' instances, of any containerizer, in any hierarchy. */
function groupsLeft(instances: string[]): string[] {
  return allHierarchies().flatMap((hierarchy) =>
    globSync(instances.map((instance) => `${hierarchy}/tepui/${instance}{,.*}`)),
  );
}

async function removeTasks(client: ApiClient, names: Set<string>): Promise<void> {
  for (const name of names) {
    const key = { namespace: NAMESPACE, name };
    await client.mergePatch(Task, key, { metadata: { finalizers: null } }).catch(() => {});
    await client.delete(Task, key);
  }
  await client.delete(Namespace, { name: NAMESPACE });
}

async function installCrds(client: ApiClient): Promise<void> {
  for (const crd of loadCrds()) await client.create(CustomResourceDefinition, structuredClone(crd) as never);
  for (const { metadata, spec } of loadCrds()) {
    const path = `/apis/${spec.group}/${spec.versions[0]!.name}/${spec.names.plural}?limit=1`;
    for (let attempt = 0; (await client.raw('GET', path)).status !== 200; attempt += 1) {
      if (attempt > 200) throw new Error(`${metadata.name} is not served`);
      await sleep(20);
    }
  }
}

/** Why tests with real containers cannot run here; undefined when they can. */
export function noContainers(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'containers need root';
}
