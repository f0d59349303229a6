import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Action, type AgentReach, type Observed, plan } from '../../../controllers/volume/plan.ts';
import { usesVolumes, volumeKeys } from '../../../controllers/volume/users.ts';
import type { Task, Volume, VolumeSpec, VolumeStatus } from '../../../crds/types.generated.ts';

const NOW = '2026-01-01T00:00:00Z';

describe('a Volume that lives', () => {
  test('is protected, and says that it waits for its first task', () => {
    const actions = plan({ volume: volume({}), users: [], agent: undefined }, NOW);
    expect(actions.map(({ type }) => type)).toEqual(['AddFinalizer', 'WriteStatus']);
    expect(statusOf(actions)).toMatchObject({
      state: 'Pending',
      conditions: [{ type: 'Ready', status: 'False', reason: 'WaitForFirstTask' }],
    });
  });

  test('is Ready when its agent made the directory, and lists its users', () => {
    const bound = volume({}, { state: 'Available', agentName: 'a' }, true);
    const actions = plan({ volume: bound, users: ['t1', 't0'], agent: 'reachable' }, NOW);
    expect(statusOf(actions)).toMatchObject({
      usedBy: ['t0', 't1'],
      conditions: [
        { type: 'Ready', status: 'True', reason: 'Available' },
        { type: 'AgentReachable', status: 'True' },
      ],
    });
  });

  test.each<[AgentReach, string, string]>([
    ['unreachable', 'AgentUnreachable', 'False'],
    ['gone', 'AgentGone', 'False'],
    ['missing', 'AgentMissing', 'Unknown'],
  ])('whose agent is %s is not Ready, stays where it is, and nothing is deleted', (agent, reason, reachable) => {
    const bound = volume({ reclaimPolicy: 'Delete' }, { state: 'Available', agentName: 'a' }, true);
    const actions = plan({ volume: bound, users: [], agent }, NOW);
    expect(actions).toHaveLength(1);
    expect(statusOf(actions)).toMatchObject({
      state: 'Available',
      agentName: 'a',
      conditions: [
        { type: 'Ready', status: 'False', reason },
        { type: 'AgentReachable', status: reachable },
      ],
    });
  });

  test('says what its agent refused', () => {
    const refusal = { reason: 'PersistenceIdTaken', message: 'is data of namespace "a"' };
    const bound = volume({}, { state: 'Bound', agentName: 'a', ...refusal }, true);
    expect(statusOf(plan({ volume: bound, users: [], agent: 'reachable' }, NOW))?.conditions?.[0]).toMatchObject({
      type: 'Ready',
      status: 'False',
      ...refusal,
    });
  });
});

describe('a Volume that is being deleted', () => {
  const status: VolumeStatus = { state: 'Available', agentName: 'a', path: '/data/v' };

  test('waits for its users', () => {
    const actions = plan(
      { volume: deleting({ reclaimPolicy: 'Delete' }, status), users: ['t'], agent: 'reachable' },
      NOW,
    );
    expect(statusOf(actions)).toMatchObject({
      state: 'Available',
      conditions: [{ reason: 'DeletionWaitsForTasks' }, {}],
    });
    expect(actions.some(({ type }) => type === 'RemoveFinalizer')).toBe(false);
  });

  test('goes at once when it never had an agent', () => {
    expect(plan({ volume: deleting({}, {}), users: [], agent: undefined }, NOW)).toEqual([{ type: 'RemoveFinalizer' }]);
  });

  test('with Retain goes and leaves its data', () => {
    const actions = plan({ volume: deleting({ reclaimPolicy: 'Retain' }, status), users: [], agent: 'reachable' }, NOW);
    expect(actions).toEqual([
      expect.objectContaining({ reason: 'DataRetained', note: 'the data stays on agent "a", /data/v' }),
      { type: 'RemoveFinalizer' },
    ]);
  });

  test('with Delete asks its agent to remove the data, and goes when that is done', () => {
    const asked = plan({ volume: deleting({ reclaimPolicy: 'Delete' }, status), users: [], agent: 'reachable' }, NOW);
    expect(statusOf(asked)).toMatchObject({ state: 'Deleting' });
    const again = deleting({ reclaimPolicy: 'Delete' }, JSON.parse(JSON.stringify(statusOf(asked))));
    expect(plan({ volume: again, users: [], agent: 'reachable' }, NOW)).toEqual([]);
    const over = deleting({ reclaimPolicy: 'Delete' }, { ...status, state: 'Deleted' });
    expect(plan({ volume: over, users: [], agent: 'reachable' }, NOW).at(-1)).toEqual({ type: 'RemoveFinalizer' });
  });

  test('with Delete waits for an agent that is out of reach, and not for one that never comes back', () => {
    const volume = deleting({ reclaimPolicy: 'Delete' }, status);
    const waiting = plan({ volume, users: [], agent: 'unreachable' }, NOW);
    expect(waiting.some(({ type }) => type === 'RemoveFinalizer')).toBe(false);
    const lost = plan({ volume, users: [], agent: 'gone' }, NOW);
    expect(lost).toEqual([expect.objectContaining({ reason: 'DataNotDeleted' }), { type: 'RemoveFinalizer' }]);
  });

  test('that somebody else protects is left to them', () => {
    const { metadata, ...rest } = deleting({}, status);
    const volume = { ...rest, metadata: { ...metadata, finalizers: ['other/thing'] } };
    expect(plan({ volume, users: [], agent: 'reachable' }, NOW)).toEqual([]);
  });
});

describe('for any Volume', () => {
  test('data is removed only when its document is deleted, with reclaimPolicy Delete, and nobody uses it', () => {
    fc.assert(
      fc.property(anything(), (observed) => {
        const actions = plan(observed, NOW);
        const { metadata, spec, status } = observed.volume;
        if (statusOf(actions)?.state === 'Deleting' && status?.state !== 'Deleting') {
          expect(metadata.deletionTimestamp).toBeDefined();
          expect(spec.reclaimPolicy).toBe('Delete');
          expect(observed.users).toEqual([]);
        }
        if (actions.some(({ type }) => type === 'RemoveFinalizer')) {
          expect(metadata.deletionTimestamp).toBeDefined();
          expect(observed.users).toEqual([]);
        }
        const written = statusOf(actions);
        if (written) expect(written.agentName).toBe(status?.agentName);
      }),
    );
  });

  test('a plan that was carried out leaves nothing to do', () => {
    fc.assert(
      fc.property(anything(), (observed) => {
        let volume = observed.volume;
        for (const action of plan(observed, NOW)) {
          if (action.type === 'WriteStatus') volume = { ...volume, status: JSON.parse(JSON.stringify(action.status)) };
          if (action.type === 'AddFinalizer') volume = protectedBy(volume, ['tepui.dev/volume-protection']);
          if (action.type === 'RemoveFinalizer') volume = protectedBy(volume, []);
        }
        expect(plan({ ...observed, volume }, NOW)).toEqual([]);
      }),
    );
  });
});

describe('users', () => {
  test('a task uses its volumes from when it is placed until it has ended, also while it is unreachable', () => {
    const task = (binding: boolean, state?: string) =>
      ({
        metadata: { namespace: 'n', name: 't' },
        spec: {
          volumes: [
            { name: 'd', volume: { volumeName: 'v' } },
            { name: 'x', tmpfs: {} },
          ],
          ...(binding ? { binding: { agentName: 'a' } } : {}),
        },
        status: { state },
      }) as unknown as Task;
    expect(volumeKeys(task(false))).toEqual(['n/v']);
    expect([task(false), task(true), task(true, 'Running'), task(true, 'Unreachable')].map(usesVolumes)).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect(
      ['Finished', 'Failed', 'Killed', 'Gone', 'GoneByOperator'].map((state) => usesVolumes(task(true, state))),
    ).toEqual(Array(5).fill(false));
  });
});

function volume(spec: Partial<VolumeSpec>, status?: VolumeStatus, isProtected = false): Volume {
  return {
    metadata: {
      namespace: 'n',
      name: 'v',
      uid: 'u',
      ...(isProtected ? { finalizers: ['tepui.dev/volume-protection'] } : {}),
    },
    spec: { size: '1Gi', ...spec },
    ...(status ? { status } : {}),
  } as Volume;
}

function deleting(spec: Partial<VolumeSpec>, status: VolumeStatus): Volume {
  const { metadata, ...rest } = volume(spec, status, true);
  return { ...rest, metadata: { ...metadata, deletionTimestamp: NOW } };
}

function protectedBy({ metadata, ...rest }: Volume, finalizers: string[]): Volume {
  return { ...rest, metadata: { ...metadata, finalizers } };
}

function statusOf(actions: Action[]): VolumeStatus | undefined {
  return actions.find((action) => action.type === 'WriteStatus')?.status;
}

function anything(): fc.Arbitrary<Observed> {
  return fc
    .record({
      agent: fc.constantFrom<AgentReach | undefined>(undefined, 'reachable', 'unreachable', 'gone', 'missing'),
      users: fc.constantFrom<string[]>([], [], ['t'], ['t', 'u']),
      isDeleting: fc.boolean(),
      isProtected: fc.boolean(),
      reclaimPolicy: fc.constantFrom('Retain' as const, 'Delete' as const, undefined),
      bindingMode: fc.constantFrom('Immediate' as const, 'WaitForFirstTask' as const),
      state: fc.constantFrom(
        'Pending' as const,
        'Bound' as const,
        'Available' as const,
        'Deleting' as const,
        'Deleted' as const,
        undefined,
      ),
    })
    .map(({ agent, users, isDeleting, isProtected, state, ...spec }) => {
      const made = volume(spec, { ...(state ? { state } : {}), ...(agent ? { agentName: 'a' } : {}) }, isProtected);
      const metadata = isDeleting ? { ...made.metadata, deletionTimestamp: NOW } : made.metadata;
      return { volume: { ...made, metadata }, users, agent };
    });
}
