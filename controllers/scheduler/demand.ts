/** From a Task document to what it asks of an agent. */
import type { Task } from '../../crds/types.generated.ts';
import { type Cluster, type Demand, keyOf, type PortDemand } from './cluster.ts';
import { type Amounts, CPUS, MEM, type ResourceTable, requestedAmounts } from './resource-table.ts';
import { unsupportedTaskField } from './unsupported.ts';

/** The demand of a task. Tasks that ask for the same get demands with the same key. */
export function demandOf(cluster: Cluster, task: Task): Demand {
  const { spec } = task;
  const namespace = task.metadata?.namespace;
  const amounts = sparse(taskAmounts(cluster.resources, task));
  const ports = portDemands(task);
  const volumeKeys = (spec.volumes ?? []).flatMap(({ volume }) =>
    volume ? [keyOf(namespace, volume.volumeName)] : [],
  );
  const placement = spec.placement ?? {};
  const constraints = placement.constraints ?? [];
  const frameworkKey = keyOf(namespace, spec.frameworkName ?? `task ${task.metadata?.name}`);
  const role = spec.role ?? '*';
  const priority = spec.priority ?? 0;
  const networks = (spec.network?.networks ?? []).map(({ name }) => name);
  const unsupported = unsupportedTaskField(task);
  const key = JSON.stringify([
    unsupported,
    frameworkKey,
    role,
    priority,
    amounts,
    ports,
    networks,
    placement,
    volumeKeys,
  ]);
  return {
    key,
    priority,
    role,
    frameworkKey,
    amounts,
    ports,
    allocatedPorts: ports.filter((port) => port.hostPort === 0).length,
    networks,
    agentName: placement.agentName,
    selector: placement.agentSelector,
    constraints,
    volumeKeys,
    unsupported,
  };
}

/** Containers run together, so their requests add up; init containers run one after the other before them, so the largest counts. */
function taskAmounts(table: ResourceTable, task: Task): Amounts {
  const sum: Amounts = [];
  for (const container of task.spec.containers) {
    withDefaults(requestedAmounts(table, container.resources?.requests)).forEach((amount, number) => {
      sum[number] = (sum[number] ?? 0) + amount;
    });
  }
  for (const container of task.spec.initContainers ?? []) {
    withDefaults(requestedAmounts(table, container.resources?.requests)).forEach((amount, number) => {
      sum[number] = Math.max(sum[number] ?? 0, amount);
    });
  }
  return sum;
}

/** The schema's defaults again: a request that is absent is never read as "needs nothing". An explicit 0 stays 0. */
function withDefaults(amounts: Amounts): Amounts {
  amounts[CPUS] ??= 100;
  amounts[MEM] ??= 128 * 2 ** 20;
  return amounts;
}

function sparse(amounts: Amounts): [number, number][] {
  const pairs: [number, number][] = [];
  amounts.forEach((amount, number) => {
    if (amount > 0) pairs.push([number, amount]);
  });
  return pairs;
}

function portDemands(task: Task): PortDemand[] {
  if (task.spec.network?.mode === 'None') return [];
  return task.spec.containers.flatMap((container) =>
    (container.ports ?? []).map((port) => ({
      container: container.name,
      name: port.name,
      protocol: port.protocol ?? 'TCP',
      hostPort: port.hostPort ?? 0,
    })),
  );
}
