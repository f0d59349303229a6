import { describe, expect, test } from '@jest/globals';
import { upsertAgent } from '../../../controllers/scheduler/agents.ts';
import { createCluster } from '../../../controllers/scheduler/cluster.ts';
import { plan } from '../../../controllers/scheduler/plan.ts';
import { removeTask, upsertTask } from '../../../controllers/scheduler/tasks.ts';
import type { Constraint } from '../../../crds/types.generated.ts';
import { agentDocument, taskDocument } from './documents.ts';

describe('constraints, on four agents in racks r1, r1, r2 and none', () => {
  test.each<[Constraint, number, string[]]>([
    [{ field: 'rack', operator: 'Is', value: 'r2' }, 2, ['c', 'c']],
    [{ field: 'rack', operator: 'Like', value: 'r[12]' }, 3, ['a', 'b', 'c']],
    [{ field: 'rack', operator: 'Unlike', value: 'r1' }, 2, ['c', 'd']],
    [{ field: 'rack', operator: 'Unlike', value: 'r.*' }, 1, ['d']],
    [{ field: 'rack', operator: 'Unique' }, 5, ['a', 'c']],
    [{ field: 'hostname', operator: 'Unique' }, 5, ['a', 'b', 'c', 'd']],
    [{ field: '@hostname', operator: 'Is', value: 'b' }, 1, ['b']],
    [{ field: '@zone', operator: 'Is', value: 'z1' }, 1, ['a']],
    [{ field: '@region', operator: 'Is', value: 'nowhere' }, 1, []],
    [{ field: 'rack', operator: 'MaxPer', value: '2' }, 6, ['a', 'b', 'c', 'c']],
    [{ field: 'rack', operator: 'Cluster' }, 4, ['a', 'a', 'b', 'b']],
    [{ field: 'rack', operator: 'Cluster', value: 'r2' }, 2, ['c', 'c']],
    [{ field: 'rack', operator: 'GroupBy' }, 4, ['a', 'b', 'c', 'c']],
    [{ field: 'rack', operator: 'GroupBy', value: '2' }, 2, ['a', 'c']],
    [{ field: 'rack', operator: 'Like', value: '((' }, 1, []],
  ])('%j', (constraint, count, expected) => {
    expect(placed(world(), constraint, count)).toEqual(expected);
  });

  test('several constraints must all hold', () => {
    const cluster = world();
    const constraints: Constraint[] = [
      { field: 'rack', operator: 'Is', value: 'r1' },
      { field: 'hostname', operator: 'Unique' },
    ];
    for (let index = 0; index < 3; index += 1) {
      upsertTask(cluster, taskDocument(`t${index}`, { frameworkName: 'f', placement: { constraints } }));
    }
    expect(agentsOf(plan(cluster, 0))).toEqual(['a', 'b']);
    plan(cluster, 0);
    const reports = plan(cluster, 10_000).flatMap((action) =>
      action.type === 'ReportUnplaced' ? [action.explanation] : [],
    );
    expect(reports[0]?.message).toBe(
      '0/4 agents can run this task: 2 does not satisfy constraint "hostname Unique", 2 does not satisfy constraint "rack Is r1"',
    );
    expect(reports[0]?.reasons).toEqual([expect.objectContaining({ reason: 'UnfulfilledConstraint', agents: 4 })]);
  });

  test('tasks of other frameworks do not count, and those that ended no longer do', () => {
    const cluster = world();
    const unique: Constraint = { field: 'rack', operator: 'Unique' };
    upsertTask(cluster, taskDocument('other', { frameworkName: 'g', binding: { agentName: 'c' } }));
    expect(placed(cluster, unique, 3)).toEqual(['a', 'c']);
    const first = [...cluster.tasks.values()].find((task) => task.agentName === 'c' && task.name !== 'other')!;
    removeTask(cluster, first.key);
    expect(agentsOf(plan(cluster, 0))).toEqual(['c']);
  });
});

function world() {
  const cluster = createCluster();
  const rack = (text: string) => [{ name: 'rack', text }];
  upsertAgent(cluster, agentDocument('a', { spec: { attributes: rack('r1'), domain: { region: 'x', zone: 'z1' } } }));
  upsertAgent(cluster, agentDocument('b', { spec: { attributes: rack('r1') } }));
  upsertAgent(cluster, agentDocument('c', { spec: { attributes: rack('r2') } }));
  upsertAgent(cluster, agentDocument('d'));
  return cluster;
}

function placed(cluster: ReturnType<typeof world>, constraint: Constraint, count: number): string[] {
  for (let index = 0; index < count; index += 1) {
    upsertTask(cluster, taskDocument(`t${index}`, { frameworkName: 'f', placement: { constraints: [constraint] } }));
  }
  return agentsOf(plan(cluster, 0));
}

function agentsOf(actions: ReturnType<typeof plan>): string[] {
  return actions.flatMap((action) => (action.type === 'BindTask' ? [action.agentName] : [])).sort();
}
