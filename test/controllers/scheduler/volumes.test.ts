import { describe, expect, test } from '@jest/globals';
import { upsertAgent } from '../../../controllers/scheduler/agents.ts';
import { plan } from '../../../controllers/scheduler/plan.ts';
import { removeTask, upsertTask } from '../../../controllers/scheduler/tasks.ts';
import type { Volume } from '../../../crds/types.generated.ts';
import { clusterOf, messages, placements } from './clusters.ts';
import { agentDocument, condition, taskDocument, usesVolume, volumeDocument } from './documents.ts';

const LATER = 10_000;

describe('volumes', () => {
  test('the first task of an unbound volume binds it to its agent, and later ones follow', () => {
    const agents = [agentDocument('a'), agentDocument('b')];
    const cluster = clusterOf(agents, [taskDocument('t', { volumes: usesVolume('v') })], [volumeDocument('v')]);
    const [bind] = plan(cluster, 0);
    expect(bind).toMatchObject({ type: 'BindTask', agentName: 'a', volumes: [{ key: 'default/v', uid: 'uid-of-v' }] });
    upsertTask(cluster, taskDocument('t', { binding: { agentName: 'a' } }, { status: { state: 'Finished' } }));
    upsertTask(cluster, taskDocument('u', { volumes: usesVolume('v') }));
    expect(plan(cluster, 0)).toMatchObject([{ type: 'BindTask', key: 'default/u', agentName: 'a' }]);
  });

  test('an exclusive volume has one user; the next task says so and follows', () => {
    const volumes = usesVolume('v');
    const tasks = [taskDocument('t', { volumes }), taskDocument('u', { volumes })];
    const cluster = clusterOf([agentDocument('a')], tasks, [volumeDocument('v')]);
    expect(placements(plan(cluster, 0))).toEqual({ t: 'a' });
    expect(messages([...plan(cluster, 0), ...plan(cluster, LATER)])).toEqual([
      '0/1 agents can run this task: volume "v" is exclusive and in use by task "t"',
    ]);
    removeTask(cluster, 'default/t');
    expect(placements(plan(cluster, LATER))).toEqual({ u: 'a' });
  });

  test('a shared volume has several users, all on its agent', () => {
    const volumes = usesVolume('v');
    const tasks = [taskDocument('t', { volumes }), taskDocument('u', { volumes })];
    const cluster = clusterOf([agentDocument('a'), agentDocument('b')], tasks, [
      volumeDocument('v', { access: 'Shared' }),
    ]);
    const placed = placements([...plan(cluster, 0), ...plan(cluster, 0)]);
    expect(placed).toEqual({ t: 'a', u: 'a' });
  });

  test('the size of a volume is taken from the disk of its agent, and a volume that fits nowhere is said so', () => {
    const cluster = clusterOf(
      [agentDocument('a')],
      [taskDocument('t', { volumes: usesVolume('v') }), taskDocument('u', { volumes: usesVolume('w') })],
      [volumeDocument('v', { size: '60Gi' }), volumeDocument('w', { size: '60Gi' })],
    );
    expect(placements(plan(cluster, 0))).toEqual({ t: 'a' });
    plan(cluster, 0);
    expect(messages(plan(cluster, LATER))).toEqual([
      '0/1 agents can run this task: 1 insufficient disk (needs 60Gi, most free 40Gi)',
    ]);
  });

  test.each<[string, Volume[], string]>([
    ['is missing', [], 'volume "v" does not exist'],
    [
      'was lost with its agent',
      [volumeDocument('v', {}, { agentName: 'gone', state: 'Available' })],
      'volume "v" was lost with agent "gone"',
    ],
    [
      'waits to be bound',
      [volumeDocument('v', { bindingMode: 'Immediate', placement: { agentName: 'b' } })],
      'volume "v" is not bound to an agent yet',
    ],
  ])('a task whose volume %s waits and says so', (_name, volumes, words) => {
    const cluster = clusterOf([agentDocument('a')], [taskDocument('t', { volumes: usesVolume('v') })], volumes);
    expect(placements(plan(cluster, 0))).toEqual({});
    expect(messages(plan(cluster, LATER))).toEqual([`0/1 agents can run this task: ${words}`]);
  });

  test('a volume that does not wait for a task is bound at once, and its space counts', () => {
    const immediate = { bindingMode: 'Immediate', size: '60Gi' };
    const cluster = clusterOf(
      [agentDocument('a')],
      [],
      [volumeDocument('v', immediate), volumeDocument('w', immediate)],
    );
    expect(plan(cluster, 0)).toEqual([
      { type: 'BindVolume', key: 'default/v', uid: 'uid-of-v', agentName: 'a', agentUid: 'uid-of-a' },
      {
        type: 'ReportVolumeUnplaced',
        key: 'default/w',
        uid: 'uid-of-w',
        explanation: expect.objectContaining({
          message: '0/1 agents can hold this volume: 1 insufficient disk (needs 60Gi, most free 40Gi)',
        }),
      },
    ]);
    expect(plan(cluster, LATER)).toEqual([]);
    upsertAgent(cluster, agentDocument('b'));
    expect(plan(cluster, LATER)).toMatchObject([{ type: 'BindVolume', key: 'default/w', agentName: 'b' }]);
  });

  test('a task is never placed away from its volume, also while that agent is unreachable', () => {
    const agents = [
      agentDocument('a', { status: { conditions: [condition('Ready', 'Unknown')] } }),
      agentDocument('b'),
    ];
    const volume = volumeDocument('v', {}, { agentName: 'a', state: 'Available' });
    const cluster = clusterOf(agents, [taskDocument('t', { volumes: usesVolume('v') })], [volume]);
    expect(placements(plan(cluster, 0))).toEqual({});
    expect(messages(plan(cluster, LATER))).toEqual([
      '0/2 agents can run this task: 1 unreachable, 1 volume "v" is on agent "a"',
    ]);
  });
});
