/** The status of FrameworkRoles: what each role uses, and which part of its policy is not kept to yet. */

import { formatBytes, formatMilli } from '../../crds/quantity.ts';
import type { FrameworkRole, FrameworkRoleStatus, ResourceQuantities, Task } from '../../crds/types.generated.ts';
import type { ObjectKey } from '../machinery/client/client.ts';
import { FrameworkRole as RoleResource, Task as TaskResource } from '../machinery/client/resources.ts';
import { timestamp } from '../machinery/clock.ts';
import { type NewCondition, setCondition } from '../machinery/conditions.ts';
import type { Manager } from '../machinery/manager/manager.ts';
import { done, requeueAfter } from '../machinery/outcome.ts';
import { patchStatus } from '../machinery/status.ts';
import type { Cluster } from './cluster.ts';
import { type Amounts, DISK, MEM, requestedAmounts } from './resource-table.ts';
import { roleOfDocument } from './roles.ts';

/** Tasks come and go; the sums are worth a write this often. */
const WRITE_EVERY_MS = 2000;

export function registerRoleStatus(manager: Manager, cluster: Cluster): void {
  const documents = manager.informer(RoleResource).store;
  const { clock, client } = manager;
  const writtenAt = new Map<string, number>();
  const mapTaskToRoles = (task: Task): ObjectKey[] =>
    documents
      .list()
      .filter((document) => isWithin(task.spec.role ?? '*', roleOfDocument(document)))
      .map(({ metadata }) => ({ name: metadata.name! }));

  manager
    .controller('role')
    .for(RoleResource)
    .watches(TaskResource, mapTaskToRoles)
    .with(async (request) => {
      const document = documents.get(request);
      if (!document) {
        writtenAt.delete(request.name);
        return done;
      }
      const waitMs = (writtenAt.get(request.name) ?? 0) + WRITE_EVERY_MS - clock.now();
      const isNew = document.status?.observedGeneration !== document.metadata.generation;
      if (waitMs > 0 && !isNew) return requeueAfter(waitMs);
      const status = roleStatus(cluster, document, timestamp(clock));
      if (await patchStatus(client, RoleResource, document, status)) writtenAt.set(request.name, clock.now());
      return done;
    });
}

/** Pure: what the role and its children use now. */
export function roleStatus(cluster: Cluster, document: FrameworkRole, time: string): FrameworkRoleStatus {
  const role = roleOfDocument(document);
  const frameworks = new Set<string>();
  const used: Amounts = [];
  let tasks = 0;
  for (const task of cluster.tasks.values()) {
    if (task.agentName === undefined || !isWithin(task.demand.role, role)) continue;
    tasks += 1;
    frameworks.add(task.demand.frameworkKey);
    for (const [number, amount] of task.demand.amounts) used[number] = (used[number] ?? 0) + amount;
  }
  const allocated = toQuantities(cluster, used);
  const observedGeneration = document.metadata.generation;
  const conditions = conditionsOf(cluster, document, used).reduce(
    (list, condition) => setCondition(list, { ...condition, observedGeneration }, time),
    document.status?.conditions ?? [],
  );
  return {
    ...document.status,
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    role,
    allocated,
    consumed: allocated,
    dominantShare: dominantShare(cluster, used, document.spec?.weight ?? 1),
    frameworks: frameworks.size,
    tasks,
    conditions,
  };
}

function conditionsOf(cluster: Cluster, { spec }: FrameworkRole, used: Amounts): NewCondition[] {
  const missing = [
    ...((spec?.weight ?? 1) !== 1 ? ['spec.weight'] : []),
    ...(spec?.quota?.guarantees ? ['spec.quota.guarantees'] : []),
  ];
  const limits = requestedAmounts(cluster.resources, spec?.quota?.limits);
  const over = limits.flatMap((limit, number) =>
    (used[number] ?? 0) > limit ? [cluster.resources.names[number]!] : [],
  );
  return [
    missing.length > 0
      ? {
          type: 'Ready',
          status: 'False',
          reason: 'NotImplemented',
          message: `${missing.join(' and ')} is not implemented yet`,
        }
      : { type: 'Ready', status: 'True', reason: 'PolicyKept', message: '' },
    over.length > 0
      ? {
          type: 'OverLimit',
          status: 'True',
          reason: 'LimitExceeded',
          message: `more ${over.join(', ')} in use than the limit; nothing is killed for it`,
        }
      : { type: 'OverLimit', status: 'False', reason: 'WithinLimits', message: '' },
  ];
}

function dominantShare(cluster: Cluster, used: Amounts, weight: number): number {
  const totals: Amounts = [];
  for (const agent of cluster.agents.values()) {
    agent.total.forEach((amount, number) => {
      totals[number] = (totals[number] ?? 0) + amount;
    });
  }
  const shares = used.map((amount, number) => (totals[number] ? amount / totals[number] : 0));
  return Math.round((Math.max(0, ...shares.filter((share) => share > 0)) / weight) * 10_000) / 10_000;
}

function toQuantities(cluster: Cluster, amounts: Amounts): ResourceQuantities {
  const quantities: ResourceQuantities = {};
  amounts.forEach((amount, number) => {
    const name = cluster.resources.names[number]!;
    const text = number === MEM || number === DISK ? formatBytes(amount) : formatMilli(amount);
    if (number < FIXED_NAMES) quantities[name as 'cpus'] = text;
    else quantities.custom = { ...quantities.custom, [name]: text };
  });
  return quantities;
}

/** cpus, mem, disk and gpus; what comes after is the user's own. */
const FIXED_NAMES = 4;

function isWithin(role: string, ancestor: string): boolean {
  return role === ancestor || role.startsWith(`${ancestor}/`);
}
