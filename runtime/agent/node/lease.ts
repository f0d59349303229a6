/** The agent's heartbeat as a Lease document: who holds the agent's name, and since when it was last heard of. */
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { ApiStatusError, isAlreadyExists, isNotFound } from '../../../controllers/machinery/client/errors.ts';
import { Lease, Namespace } from '../../../controllers/machinery/client/resources.ts';

export const LEASE_NAMESPACE = 'tepui-agent-leases';

/** Another data directory runs under the same agent name. */
export class AgentNameTaken extends Error {
  constructor(name: string, holder: string, secondsAgo: number) {
    super(
      `agent name "${name}" is held by ${holder}, heard of ${secondsAgo} s ago: stop that agent, wait until its lease expires, or use --name`,
    );
    this.name = 'AgentNameTaken';
  }
}

export interface LeaseHolder {
  name: string;
  /** `<name>_<agentId>`: the same data directory takes its own lease back at once. */
  identity: string;
  durationSeconds: number;
}

/** Takes the lease, or rejects with AgentNameTaken while another holder's is fresh. Makes the namespace when it may. */
export async function acquireLease(client: ApiClient, holder: LeaseHolder, now: Date): Promise<void> {
  const key = { namespace: LEASE_NAMESPACE, name: holder.name };
  const lease = await client.get(Lease, key);
  if (lease === undefined) return createLease(client, holder, now);
  const { holderIdentity, renewTime, leaseDurationSeconds, leaseTransitions } = lease.spec ?? {};
  const age = now.getTime() - Date.parse(renewTime ?? '1970-01-01T00:00:00Z');
  const isForeign = holderIdentity !== undefined && holderIdentity !== '' && holderIdentity !== holder.identity;
  if (isForeign && age < (leaseDurationSeconds ?? holder.durationSeconds) * 1000) {
    throw new AgentNameTaken(holder.name, holderIdentity, Math.round(age / 1000));
  }
  const transitions = (leaseTransitions ?? 0) + (holderIdentity === holder.identity ? 0 : 1);
  const spec = { ...leaseSpec(holder, now), acquireTime: microTime(now), leaseTransitions: transitions };
  // The resource version makes two agents that start at once see each other.
  await client.mergePatch(Lease, key, { metadata: { resourceVersion: lease.metadata?.resourceVersion }, spec });
}

/** One heartbeat. */
export async function renewLease(client: ApiClient, holder: LeaseHolder, now: Date): Promise<void> {
  try {
    await client.mergePatch(Lease, { namespace: LEASE_NAMESPACE, name: holder.name }, { spec: leaseSpec(holder, now) });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await createLease(client, holder, now);
  }
}

/** Gives the name free without pretending to be alive: the time of the last heartbeat stays. */
export async function releaseLease(client: ApiClient, holder: LeaseHolder): Promise<void> {
  await client.mergePatch(Lease, { namespace: LEASE_NAMESPACE, name: holder.name }, { spec: { holderIdentity: null } });
}

async function createLease(client: ApiClient, holder: LeaseHolder, now: Date): Promise<void> {
  const lease = {
    metadata: { namespace: LEASE_NAMESPACE, name: holder.name },
    spec: { ...leaseSpec(holder, now), acquireTime: microTime(now), leaseTransitions: 0 },
  };
  try {
    await client.create(Lease, lease);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await createNamespace(client);
    await client.create(Lease, lease);
  }
}

async function createNamespace(client: ApiClient): Promise<void> {
  try {
    await client.create(Namespace, { metadata: { name: LEASE_NAMESPACE } });
  } catch (error) {
    if (isAlreadyExists(error)) return;
    // Not allowed, or a server without namespaces: the operator has to see that the lease itself could not be written.
    if (error instanceof ApiStatusError && (error.code === 403 || error.code === 404)) return;
    throw error;
  }
}

function leaseSpec(holder: LeaseHolder, now: Date) {
  return { holderIdentity: holder.identity, leaseDurationSeconds: holder.durationSeconds, renewTime: microTime(now) };
}

/** Leases count in microseconds; the API refuses other fractions. */
function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z');
}
