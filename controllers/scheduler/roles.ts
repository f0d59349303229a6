/** Keeps what each role uses and may use. Limits are of top-level roles; what their descendants use is charged to them, as in Mesos. */
import type { FrameworkRole } from '../../crds/types.generated.ts';
import type { Cluster, Demand, RoleState } from './cluster.ts';
import { requestedAmounts } from './resource-table.ts';

export function upsertRole(cluster: Cluster, document: FrameworkRole): void {
  setLimits(cluster, roleOfDocument(document), document);
}

export function removeRole(cluster: Cluster, name: string): void {
  setLimits(cluster, name, undefined);
}

/** The name of the role that a document is about: names of roles may hold what names of documents may not. */
export function roleOfDocument(document: FrameworkRole): string {
  return (document.spec as { role?: string } | undefined)?.role ?? document.metadata?.name ?? '';
}

/** Adds a demand to what its role uses, or (`sign` -1) takes it off. */
export function chargeRole(cluster: Cluster, demand: Demand, sign: 1 | -1): void {
  const role = roleNamed(cluster, topLevel(demand.role));
  for (const [number, amount] of demand.amounts) role.used[number] = (role.used[number] ?? 0) + sign * amount;
  if (sign < 0 && role.limits.length > 0) markShapesOf(cluster, role);
}

/** Number of the first resource whose limit the demand would exceed. */
export function quotaProblem(cluster: Cluster, demand: Demand): { role: RoleState; number: number } | undefined {
  const role = cluster.roles.get(topLevel(demand.role));
  if (!role || role.limits.length === 0) return undefined;
  for (const [number, amount] of demand.amounts) {
    const limit = role.limits[number];
    if (limit !== undefined && (role.used[number] ?? 0) + amount > limit) return { role, number };
  }
  return undefined;
}

function setLimits(cluster: Cluster, name: string, document: FrameworkRole | undefined): void {
  const role = roleNamed(cluster, name);
  role.limits = requestedAmounts(cluster.resources, document?.spec?.quota?.limits);
  markShapesOf(cluster, role);
}

function roleNamed(cluster: Cluster, name: string): RoleState {
  const known = cluster.roles.get(name);
  if (known) return known;
  const role: RoleState = { name, limits: [], used: [] };
  cluster.roles.set(name, role);
  return role;
}

function topLevel(role: string): string {
  return role.split('/', 1)[0]!;
}

function markShapesOf(cluster: Cluster, role: RoleState): void {
  for (const shape of cluster.shapes.values()) {
    if (topLevel(shape.demand.role) === role.name) cluster.dirtyShapes.add(shape);
  }
}
