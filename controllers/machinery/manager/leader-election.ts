import type { ApiClient } from '../client/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../client/errors.ts';
import { Lease, type LeaseDocument, Namespace } from '../client/resources.ts';
import { type Clock, microTimestamp } from '../clock.ts';
import type { Logger } from '../logger.ts';

export interface LeaderElectionOptions {
  /** The Lease that is fought for. */
  lease: { namespace: string; name: string };
  /** `<host>_<uuid>`: unique per process, also over restarts. */
  identity: string;
  /** How long a leader that is not heard of keeps others out. Default: 15000. */
  leaseDurationMs?: number;
  /** How long a leader tries to renew before it gives up; must be less than the duration. Default: 10000. */
  renewDeadlineMs?: number;
  /** Pause between tries. Default: 2000. */
  retryMs?: number;
}

/** Another process leads, or we could not renew in time: everything that only a leader may do must stop now. */
export class LeadershipLost extends Error {
  override readonly name = 'LeadershipLost';
}

export interface LeaderElection {
  /** Resolves as leader; also resolves (false) when the signal is aborted first. */
  acquire(signal: AbortSignal): Promise<boolean>;
  /** Renews until the signal is aborted; rejects with LeadershipLost. */
  hold(signal: AbortSignal): Promise<void>;
  /** Lets the next one in at once instead of after the lease's duration. Call when no controller runs any more. */
  release(): Promise<void>;
}

/**
 * Leader election by a Lease, as client-go does it.
 *
 * Guarantees: at most one process holds the lease by the rule "renewed within its duration". Assumptions: clocks run at the same speed; they
 * need not show the same time, because a lease is counted as expired only after this process has seen it unchanged for its duration.
 */
export function createLeaderElection(
  client: ApiClient,
  clock: Clock,
  logger: Logger,
  options: LeaderElectionOptions,
): LeaderElection {
  const { lease, identity, leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryMs = 2_000 } = options;
  if (renewDeadlineMs >= leaseDurationMs) throw new RangeError('renewDeadlineMs must be less than leaseDurationMs');
  let observed: { renewTime: string; holder: string; at: number } | undefined;
  let held: LeaseDocument | undefined;
  /** Who holds the lease now, if not we. */
  let otherHolder: string | undefined;

  /** One try to take or renew the lease; says whether it is ours now. */
  const attempt = async (): Promise<boolean> => {
    const now = microTimestamp(clock);
    const existing = held ?? (await client.get(Lease, lease));
    const spec = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000), renewTime: now };
    if (!existing) {
      held = await createLease(client, {
        metadata: { ...lease },
        spec: { ...spec, acquireTime: now, leaseTransitions: 0 },
      });
      return true;
    }
    const holder = existing.spec?.holderIdentity ?? '';
    otherHolder = undefined;
    if (holder !== identity && holder !== '' && !isExpired(existing, holder)) {
      otherHolder = holder;
      return false;
    }
    const isMine = holder === identity;
    held = await client.update<LeaseDocument>(Lease, {
      ...existing,
      spec: {
        ...existing.spec,
        ...spec,
        acquireTime: isMine ? existing.spec?.acquireTime : now,
        leaseTransitions: (existing.spec?.leaseTransitions ?? 0) + (isMine ? 0 : 1),
      },
    });
    return true;
  };

  const isExpired = (existing: LeaseDocument, holder: string): boolean => {
    const renewTime = existing.spec?.renewTime ?? '';
    if (!observed || observed.renewTime !== renewTime || observed.holder !== holder) {
      if (observed?.holder !== holder) logger.info({ name: holder }, 'Another process leads');
      observed = { renewTime, holder, at: clock.monotonic() };
    }
    const duration = (existing.spec?.leaseDurationSeconds ?? leaseDurationMs / 1000) * 1000;
    return clock.monotonic() - observed.at > duration;
  };

  const tryOnce = async (): Promise<boolean> => {
    try {
      return await attempt();
    } catch (err) {
      held = undefined;
      if (!isConflict(err) && !isAlreadyExists(err))
        logger.warn({ err, name: lease.name }, 'Could not reach the leader lease');
      return false;
    }
  };

  return {
    async acquire(signal) {
      while (!signal.aborted) {
        if (await tryOnce()) {
          logger.info({ name: lease.name }, 'Became leader');
          return true;
        }
        await clock.sleep(retryMs, signal);
      }
      return false;
    },
    async hold(signal) {
      let renewedAt = clock.monotonic();
      while (!signal.aborted) {
        await clock.sleep(retryMs, signal);
        if (signal.aborted) return;
        const startedAt = clock.monotonic();
        // A server that does not answer must not keep us leader beyond the deadline: the call races against it.
        const left = Math.max(1, renewedAt + renewDeadlineMs - startedAt);
        const isRenewed = await Promise.race([tryOnce(), expire(clock, left)]);
        if (isRenewed) renewedAt = startedAt;
        else if (otherHolder !== undefined || clock.monotonic() - renewedAt >= renewDeadlineMs) {
          throw new LeadershipLost(
            otherHolder === undefined
              ? `could not renew ${lease.namespace}/${lease.name} within ${renewDeadlineMs} ms`
              : `${otherHolder} holds ${lease.namespace}/${lease.name} now`,
          );
        }
      }
    },
    async release() {
      if (!held) return;
      const releasing = held;
      held = undefined;
      try {
        await client.update<LeaseDocument>(Lease, {
          ...releasing,
          spec: { ...releasing.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTimestamp(clock) },
        });
      } catch (err) {
        logger.warn({ err, name: lease.name }, 'Could not release the leader lease');
      }
    },
  };
}

/** Makes the namespace too, where it is missing and may be made: on the embedded server nobody else does. */
async function createLease(client: ApiClient, lease: LeaseDocument): Promise<LeaseDocument> {
  try {
    return await client.create(Lease, lease);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await client.create(Namespace, { metadata: { name: lease.metadata!.namespace! } });
    return client.create(Lease, lease);
  }
}

function expire(clock: Clock, ms: number): Promise<false> {
  return new Promise((resolve) => {
    clock.schedule(ms, () => resolve(false));
  });
}
