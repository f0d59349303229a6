import { describe, expect, test } from '@jest/globals';
import { removeAgent, upsertAgent } from '../../../controllers/scheduler/agents.ts';
import { createCluster } from '../../../controllers/scheduler/cluster.ts';
import { plan } from '../../../controllers/scheduler/plan.ts';
import { upsertTask } from '../../../controllers/scheduler/tasks.ts';
import { removeVolume, upsertVolume } from '../../../controllers/scheduler/volumes.ts';
import type { AgentDisk, RetainedVolume } from '../../../crds/types.generated.ts';
import { agentDocument, taskDocument, volumeDocument } from './documents.ts';

interface Disk extends AgentDisk {
  message?: string;
}
const disk = (name: string, type: 'Path' | 'Mount', size: string, more: Partial<Disk> = {}): Disk => ({
  name,
  type,
  path: `/disks/${name}`,
  size,
  ...more,
});
function agentWith(name: string, disks: Disk[], retainedVolumes: RetainedVolume[] = []) {
  return agentDocument(name, {
    spec: { disks: disks.map(({ message: _, ...spec }) => spec) },
    status: {
      disks: disks.map(({ name, size, message }) => ({ name, capacity: size, ...(message && { message }) })),
      retainedVolumes,
    } as never,
  });
}
const volumeOn = (name: string, type: string, size: string, more: object = {}) =>
  volumeDocument(name, { size, disk: { type, ...more } });
const using = (...names: string[]) => ({
  volumes: names.map((volumeName) => ({ name: volumeName, volume: { volumeName } })),
});

function clusterOf(
  agents: Parameters<typeof upsertAgent>[1][],
  tasks: Parameters<typeof upsertTask>[1][],
  volumes: Parameters<typeof upsertVolume>[1][],
) {
  const cluster = createCluster();
  for (const agent of agents) upsertAgent(cluster, agent);
  for (const volume of volumes) upsertVolume(cluster, volume);
  for (const task of tasks) upsertTask(cluster, task);
  return cluster;
}
/** Where each volume went, as `agent/disk`. */
function bound(cluster: ReturnType<typeof createCluster>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const action of plan(cluster, 0)) {
    if (action.type === 'BindTask')
      for (const { key, diskName } of action.volumes) found[key] = `${action.agentName}/${diskName ?? 'root'}`;
    if (action.type === 'BindVolume') found[action.key] = `${action.agentName}/${action.diskName ?? 'root'}`;
  }
  return found;
}
const why = (cluster: ReturnType<typeof createCluster>) => {
  plan(cluster, 0);
  return plan(cluster, 60_000).flatMap((action) => ('explanation' in action ? [action.explanation.message] : []));
};

describe('disks beside the root disk', () => {
  test('a Mount volume gets the smallest disk that is large enough, alone', () => {
    const disks = [disk('large', 'Mount', '1Ti'), disk('small', 'Mount', '20Gi'), disk('tiny', 'Mount', '5Gi')];
    const cluster = clusterOf(
      [agentWith('a', disks)],
      [taskDocument('t', using('v')), taskDocument('u', using('w'))],
      [volumeOn('v', 'Mount', '10Gi'), volumeOn('w', 'Mount', '10Gi')],
    );
    const found = bound(cluster);
    expect([found['default/v'], found['default/w']].sort()).toEqual(['a/large', 'a/small']);
  });

  test('Path disks are divided, the one with most room first, and never overcommitted', () => {
    const cluster = clusterOf(
      [agentWith('a', [disk('one', 'Path', '100Gi'), disk('two', 'Path', '60Gi')])],
      [taskDocument('t', using('v', 'w', 'x'))],
      [volumeOn('v', 'Path', '50Gi'), volumeOn('w', 'Path', '50Gi'), volumeOn('x', 'Path', '50Gi')],
    );
    const found = bound(cluster);
    expect(Object.values(found).sort()).toEqual(['a/one', 'a/one', 'a/two']);
    upsertVolume(cluster, volumeOn('y', 'Path', '20Gi'));
    upsertTask(cluster, taskDocument('u', using('y')));
    expect(bound(cluster)).toEqual({});
    expect(why(cluster)).toEqual([
      '0/1 agents can run this task: 1 no room for volume "y" (20Gi) on a disk of type Path',
    ]);
    removeVolume(cluster, 'default/v');
    expect(bound(cluster)).toEqual({ 'default/y': expect.stringMatching(/^a\//) });
  });

  test('name and profile choose; what nothing offers is said', () => {
    const disks = [disk('hdd', 'Path', '1Ti'), disk('ssd', 'Path', '1Ti', { profile: 'fast' })];
    const volumes = [
      volumeOn('named', 'Path', '1Gi', { name: 'hdd' }),
      volumeOn('fast', 'Path', '1Gi', { profile: 'fast' }),
      volumeOn('none', 'Path', '1Gi', { profile: 'golden' }),
    ];
    const tasks = volumes.map(({ metadata }) => taskDocument(`t-${metadata.name}`, using(metadata.name!)));
    const cluster = clusterOf([agentWith('a', disks)], tasks, volumes);
    expect(bound(cluster)).toEqual({ 'default/named': 'a/hdd', 'default/fast': 'a/ssd' });
    expect(why(cluster)).toEqual([
      '0/1 agents can run this task: 1 no disk of type Path with profile "golden" for volume "none"',
    ]);
  });

  test('a disk that the agent cannot use holds nothing until it can', () => {
    const volume = volumeDocument('v', { size: '1Gi', disk: { type: 'Mount' }, bindingMode: 'Immediate' });
    const cluster = clusterOf([agentWith('a', [disk('m', 'Mount', '1Ti', { message: 'not mounted' })])], [], [volume]);
    expect(bound(cluster)).toEqual({});
    upsertAgent(cluster, agentWith('a', [disk('m', 'Mount', '1Ti')]));
    expect(bound(cluster)).toEqual({ 'default/v': 'a/m' });
  });

  test('what is bound counts after a restart of the scheduler, and takes nothing of the root disk', () => {
    const held = volumeOn('held', 'Mount', '10Gi');
    held.status = { agentName: 'a', diskName: 'm', state: 'Available' };
    const cluster = clusterOf(
      [agentWith('a', [disk('m', 'Mount', '1Ti')])],
      [taskDocument('t', using('v')), taskDocument('r', using('root'))],
      [held, volumeOn('v', 'Mount', '1Gi'), volumeDocument('root', { size: '100Gi' })],
    );
    expect(bound(cluster)).toEqual({ 'default/root': 'a/root' });
    expect(why(cluster)[0]).toContain('no room for volume "v"');
  });
});

describe('retained data', () => {
  const retained = (more: Partial<RetainedVolume> = {}) => [
    { namespace: 'default', role: '*', persistenceId: 'default.v', ...more },
  ];
  const cluster = (retainedVolumes: RetainedVolume[], volume = volumeDocument('v')) =>
    clusterOf(
      [agentWith('a', []), agentWith('b', [], retainedVolumes), agentWith('c', [])],
      [taskDocument('t', using('v'))],
      [volume],
    );

  test('draws its volume to the agent that holds it', () => {
    expect(bound(cluster(retained()))).toEqual({ 'default/v': 'b/root' });
    expect(bound(cluster([]))).toEqual({ 'default/v': 'a/root' });
  });

  test.each([
    ['namespace', { namespace: 'other' }],
    ['role', { role: 'eng' }],
    ['id', { persistenceId: 'other' }],
  ])('of another %s draws nothing', (_, more) => {
    expect(bound(cluster(retained(more)))).toEqual({ 'default/v': 'a/root' });
  });

  test('keeps the volume waiting while that agent cannot take it, and says so', () => {
    const state = cluster(retained());
    upsertAgent(state, { ...agentWith('b', [], retained()), spec: { deactivated: true } });
    expect(bound(state)).toEqual({});
    expect(why(state)).toEqual([
      '0/3 agents can run this task: 2 the retained data of volume "v" is on agent "b", 1 deactivated',
    ]);
  });

  test('no longer draws it when the agent or the data is gone', () => {
    const state = cluster(retained());
    upsertAgent(state, agentWith('b', []));
    expect(bound(state)).toEqual({ 'default/v': 'a/root' });
    const other = cluster(retained());
    removeAgent(other, 'b');
    expect(bound(other)).toEqual({ 'default/v': 'a/root' });
  });
});
