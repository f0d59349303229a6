/** The controllers of this area against a real API server, in a namespace of their own. */
import { randomBytes } from 'node:crypto';
import { registerFrameworkController } from '../../../controllers/framework/controller.ts';
import { createApiClient } from '../../../controllers/machinery/client/api-client.ts';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { isNotFound } from '../../../controllers/machinery/client/errors.ts';
import { loadClusterConfig } from '../../../controllers/machinery/client/kubeconfig.ts';
import type { EventDocument } from '../../../controllers/machinery/client/resources.ts';
import { Event, Framework, Namespace, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import { silentLogger } from '../../../controllers/machinery/logger.ts';
import { Manager } from '../../../controllers/machinery/manager/manager.ts';
import { registerSchedulerController } from '../../../controllers/scheduler/controller.ts';
import { registerOwnerGarbageCollector } from '../../../controllers/task/owner-gc.ts';
import { registerVolumeController } from '../../../controllers/volume/controller.ts';
import type {
  Framework as FrameworkDocument,
  FrameworkSpec,
  Task as TaskDocument,
  TaskTemplateSpec,
} from '../../../crds/types.generated.ts';
import { installCrds, startTestServer } from '../machinery/test-server.ts';

/**
 * An embedded API server of its own; or the cluster that $TEPUI_TEST_KUBECONFIG names (any Kubernetes API server: the tests make namespaces of
 * their own in it, and leave the custom resource definitions).
 */
export async function startApi(): Promise<{ client: ApiClient; stop(): Promise<void> }> {
  const kubeconfig = process.env.TEPUI_TEST_KUBECONFIG;
  if (!kubeconfig) return startTestServer();
  const client = createApiClient(await loadClusterConfig({ kubeconfig }), { userAgent: 'tepui-test' });
  await installCrds(client);
  return { client, stop: () => client.close() };
}

export interface Controllers {
  stop(): Promise<void>;
}

export async function startControllers(client: ApiClient): Promise<Controllers> {
  const manager = new Manager({ client, logger: silentLogger });
  registerFrameworkController(manager);
  registerSchedulerController(manager);
  registerVolumeController(manager);
  registerOwnerGarbageCollector(manager);
  const abort = new AbortController();
  const running = manager.run(abort.signal);
  await manager.ready;
  return {
    async stop() {
      abort.abort();
      await running;
    },
  };
}

export async function createNamespace(client: ApiClient): Promise<string> {
  const name = `test-${randomBytes(4).toString('hex')}`;
  // A server for custom resources alone has no namespaces to be made.
  await client.create(Namespace, { metadata: { name } }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
  return name;
}

export function template(command: string, more: Partial<TaskTemplateSpec> = {}): FrameworkSpec['template'] {
  const resources = { requests: { cpus: '10m', mem: '4Mi' } };
  return { spec: { containers: [{ name: 'main', command: command.split(' '), resources }], ...more } };
}

export async function apply(client: ApiClient, namespace: string, name: string, spec: FrameworkSpec): Promise<void> {
  const existing = await client.get(Framework, { namespace, name });
  if (existing) await client.mergePatch(Framework, { namespace, name }, { spec });
  else await client.create(Framework, { metadata: { namespace, name }, spec });
}

export async function frameworkOf(client: ApiClient, namespace: string, name: string): Promise<FrameworkDocument> {
  const framework = await client.get(Framework, { namespace, name });
  if (!framework) throw new Error(`framework ${name} is not there`);
  return framework;
}

export async function tasksOf(client: ApiClient, namespace: string): Promise<TaskDocument[]> {
  return (await client.list(Task, { namespace })).items;
}

export async function eventsOf(client: ApiClient, namespace: string): Promise<EventDocument[]> {
  return (await client.list(Event, { namespace })).items;
}

/** Everything of the namespace goes. */
export async function cleanUp(client: ApiClient, namespace: string): Promise<void> {
  for (const resource of [Framework, Task, Volume] as const) {
    for (const { metadata } of (await client.list(resource as typeof Task, { namespace })).items) {
      await client.delete(resource as typeof Task, { namespace, name: metadata.name! });
    }
  }
}

export function conditionOf(
  object: { status?: { conditions?: { type: string; status: string; reason: string; message: string }[] } },
  type: string,
) {
  return object.status?.conditions?.find((condition) => condition.type === type);
}
