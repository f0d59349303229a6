import { describe, expect, test } from '@jest/globals';
import { plan } from '../../../controllers/scheduler/plan.ts';
import { roleStatus } from '../../../controllers/scheduler/role-status.ts';
import { upsertRole } from '../../../controllers/scheduler/roles.ts';
import type { FrameworkRole } from '../../../crds/types.generated.ts';
import { clusterOf, messages, placements } from './clusters.ts';
import { agentDocument, taskDocument } from './documents.ts';

const LATER = 10_000;

describe('quota', () => {
  test('a role never exceeds its limit, children included, and says so', () => {
    const tasks = ['eng', 'eng/dev', 'eng'].map((role, index) => taskDocument(`t${index}`, { role }));
    const cluster = clusterOf([agentDocument('a')], tasks);
    upsertRole(cluster, { metadata: { name: 'eng' }, spec: { quota: { limits: { cpus: 2 } } } } as FrameworkRole);
    expect(Object.keys(placements(plan(cluster, 0)))).toHaveLength(2);
    plan(cluster, 0);
    expect(messages(plan(cluster, LATER))).toEqual([
      '0/1 agents can run this task: role "eng" may use 2 cpus and uses 2',
    ]);
    upsertRole(cluster, { metadata: { name: 'eng' }, spec: {} } as FrameworkRole);
    expect(Object.keys(placements(plan(cluster, LATER)))).toHaveLength(1);
  });
});

test('the status of a role shows what it and its children use, and what is not kept to', () => {
  const cluster = clusterOf(
    [agentDocument('a')],
    [taskDocument('t', { role: 'eng' }), taskDocument('u', { role: 'eng/dev' })],
  );
  plan(cluster, 0);
  const document = { metadata: { name: 'eng', generation: 2 }, spec: { weight: 2, quota: { limits: { cpus: 1 } } } };
  expect(roleStatus(cluster, document as FrameworkRole, '2026-01-01T00:00:00Z')).toMatchObject({
    observedGeneration: 2,
    allocated: { cpus: '2', mem: '2Gi' },
    dominantShare: 0.25,
    tasks: 2,
    conditions: [
      { type: 'Ready', status: 'False', reason: 'NotImplemented', message: 'spec.weight is not implemented yet' },
      { type: 'OverLimit', status: 'True' },
    ],
  });
});
