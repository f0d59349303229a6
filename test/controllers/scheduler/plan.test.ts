import { describe, expect, test } from '@jest/globals';
import { removeAgent, upsertAgent } from '../../../controllers/scheduler/agents.ts';
import { plan } from '../../../controllers/scheduler/plan.ts';
import { removeTask, unassumeTask, upsertTask } from '../../../controllers/scheduler/tasks.ts';
import { clusterOf, messages, placements } from './clusters.ts';
import { agentDocument, condition, taskDocument } from './documents.ts';

const LATER = 10_000;

describe('placement', () => {
  test('a task is placed on an agent that has room', () => {
    const cluster = clusterOf([agentDocument('a')], [taskDocument('t')]);
    expect(placements(plan(cluster, 0))).toEqual({ t: 'a' });
  });

  test('a plan repeated before any document shows its placements places nothing again', () => {
    const cluster = clusterOf([agentDocument('a')], [taskDocument('t')]);
    plan(cluster, 0);
    upsertTask(cluster, taskDocument('t'));
    expect(plan(cluster, 0)).toEqual([]);
  });

  test('the task of the higher priority is placed first, then the older one', () => {
    const cpus = { requests: { cpus: 4, mem: '1Gi' } };
    const cluster = clusterOf(
      [agentDocument('a')],
      [
        taskDocument('young', cpus, { metadata: { creationTimestamp: '2026-01-01T00:00:05Z' } }),
        taskDocument('old', cpus),
        taskDocument(
          'important',
          { ...cpus, priority: 7 },
          { metadata: { creationTimestamp: '2026-01-01T00:00:09Z' } },
        ),
      ],
    );
    expect(placements(plan(cluster, 0))).toEqual({ important: 'a' });
    removeTask(cluster, 'default/important');
    expect(placements(plan(cluster, 0))).toEqual({ old: 'a' });
  });

  test('replicas of a framework are spread even when one agent is much larger', () => {
    const large = agentDocument('large', { status: { allocatable: { cpus: 64, mem: '256Gi', ports: '' } } });
    const tasks = ['t0', 't1'].map((name) => taskDocument(name, { frameworkName: 'web' }));
    const placed = placements(plan(clusterOf([large, agentDocument('small')], tasks), 0));
    expect(new Set(Object.values(placed)).size).toBe(2);
  });

  test('a task that ended frees its room at once, and a waiting task takes it', () => {
    const requests = { requests: { cpus: 4, mem: '1Gi' } };
    const bound = taskDocument('first', { ...requests, binding: { agentName: 'a' } });
    const cluster = clusterOf([agentDocument('a')], [bound, taskDocument('second', requests)]);
    expect(placements(plan(cluster, 0))).toEqual({});
    upsertTask(cluster, { ...bound, status: { state: 'Finished' } });
    expect(placements(plan(cluster, 0))).toEqual({ second: 'a' });
  });

  test('a task that is still being killed keeps its room and its port', () => {
    const fixed = { ports: [{ name: 'http', hostPort: 8080 }] };
    const killing = taskDocument(
      'old',
      { ...fixed, binding: { agentName: 'a', hostPorts: [{ container: 'main', name: 'http', hostPort: 8080 }] } },
      { metadata: { deletionTimestamp: '2026-01-01T00:00:09Z', finalizers: ['x/y'] }, status: { state: 'Killing' } },
    );
    const cluster = clusterOf([agentDocument('a')], [killing, taskDocument('new', fixed)]);
    expect(placements(plan(cluster, 0))).toEqual({});
    expect(messages(plan(cluster, LATER))).toEqual(['0/1 agents can run this task: 1 host port 8080 in use']);
    removeTask(cluster, 'default/old');
    expect(placements(plan(cluster, LATER))).toEqual({ new: 'a' });
  });

  test('a placement that could not be written is taken back and tried again', () => {
    const cluster = clusterOf([agentDocument('a')], [taskDocument('t')]);
    plan(cluster, 0);
    unassumeTask(cluster, 'default/t', 'uid-of-t');
    expect(placements(plan(cluster, 0))).toEqual({ t: 'a' });
  });

  test('a task that was deleted and made again is another task', () => {
    const requests = { requests: { cpus: 3, mem: '1Gi' } };
    const cluster = clusterOf([agentDocument('a')], [taskDocument('t', requests)]);
    plan(cluster, 0);
    upsertTask(cluster, taskDocument('t', requests, { metadata: { uid: 'another' } }));
    expect(placements(plan(cluster, 0))).toEqual({ t: 'a' });
  });

  test('tasks that are to be killed, are being deleted or ended are not placed', () => {
    const tasks = [
      taskDocument('killed', { desiredState: 'Killed' }),
      taskDocument('deleting', {}, { metadata: { deletionTimestamp: '2026-01-01T00:00:09Z' } }),
      taskDocument('failed', {}, { status: { state: 'Failed' } }),
    ];
    expect(plan(clusterOf([agentDocument('a')], tasks), LATER)).toEqual([]);
  });

  test('a plan stops after its share of placements and goes on in the next', () => {
    const tasks = Array.from({ length: 5 }, (_, index) =>
      taskDocument(`t${index}`, { requests: { cpus: '100m', mem: '1Mi' } }),
    );
    const cluster = clusterOf([agentDocument('a')], tasks);
    const first = plan(cluster, 0, { maxPlacements: 3 });
    expect(Object.keys(placements(first))).toHaveLength(3);
    expect(first.at(-1)).toEqual({ type: 'PlanAgain', afterMs: 0 });
    expect(Object.keys(placements(plan(cluster, 0, { maxPlacements: 3 })))).toHaveLength(2);
  });
});

describe('agents', () => {
  test.each<[string, Parameters<typeof agentDocument>[1], string]>([
    ['deactivated', { spec: { deactivated: true } }, 'deactivated'],
    ['drained', { spec: { drain: {} } }, 'draining'],
    ['gone', { spec: { gone: true } }, 'marked gone'],
    ['not ready', { status: { conditions: [condition('Ready', 'False')] } }, 'not ready'],
    ['unreachable', { status: { conditions: [condition('Ready', 'Unknown')] } }, 'unreachable'],
    ['new and without conditions', { status: { conditions: [] } }, 'not ready'],
    ['being deleted', { metadata: { name: 'a', deletionTimestamp: '2026-01-01T00:00:00Z' } }, 'being deleted'],
  ])('an agent that is %s takes no task', (_name, changes, words) => {
    const cluster = clusterOf([agentDocument('a', changes)], [taskDocument('t')]);
    expect(placements(plan(cluster, 0))).toEqual({});
    expect(messages(plan(cluster, LATER))).toEqual([`0/1 agents can run this task: 1 ${words}`]);
  });

  test('a waiting task is placed when an agent arrives, becomes ready or grows', () => {
    const cluster = clusterOf([], [taskDocument('t', { requests: { cpus: 6, mem: '1Gi' } })]);
    expect(messages(plan(cluster, 0).concat(plan(cluster, LATER)))).toEqual([
      '0/0 agents can run this task: no agent has registered yet',
    ]);
    upsertAgent(cluster, agentDocument('a'));
    expect(placements(plan(cluster, LATER))).toEqual({});
    upsertAgent(cluster, agentDocument('a', { status: { allocatable: { cpus: 8, mem: '8Gi' } } }));
    expect(placements(plan(cluster, LATER))).toEqual({ t: 'a' });
  });

  test('a removed agent takes no task, and what runs there counts again when it comes back', () => {
    const bound = taskDocument('t0', { requests: { cpus: 3, mem: '1Gi' }, binding: { agentName: 'a' } });
    const cluster = clusterOf([agentDocument('a')], [bound]);
    removeAgent(cluster, 'a');
    upsertTask(cluster, taskDocument('t1', { requests: { cpus: 3, mem: '1Gi' } }));
    expect(placements(plan(cluster, 0))).toEqual({});
    upsertAgent(cluster, agentDocument('a'));
    expect(placements(plan(cluster, 0))).toEqual({});
    removeTask(cluster, 'default/t0');
    expect(placements(plan(cluster, 0))).toEqual({ t1: 'a' });
  });

  test('agentName and agentSelector are kept to', () => {
    const agents = [agentDocument('a'), agentDocument('b', { metadata: { name: 'b', labels: { disk: 'ssd' } } })];
    const tasks = [
      taskDocument('named', { placement: { agentName: 'a' } }),
      taskDocument('labelled', { placement: { agentSelector: { matchLabels: { disk: 'ssd' } } } }),
      taskDocument('expression', {
        placement: { agentSelector: { matchExpressions: [{ key: 'disk', operator: 'DoesNotExist' }] } },
      }),
    ];
    expect(placements(plan(clusterOf(agents, tasks), 0))).toEqual({ named: 'a', labelled: 'b', expression: 'a' });
  });
});

describe('explanations', () => {
  test('each agent is counted once, with what is most free', () => {
    const agents = [
      agentDocument('a', { status: { allocatable: { cpus: 4, mem: '1Gi' } } }),
      agentDocument('b', { status: { allocatable: { cpus: 4, mem: '1536Mi' } } }),
      agentDocument('c', { spec: { drain: {} } }),
    ];
    const cluster = clusterOf(agents, [taskDocument('t', { requests: { cpus: 1, mem: '4Gi' } })]);
    plan(cluster, 0);
    const [report] = plan(cluster, LATER).filter((action) => action.type === 'ReportUnplaced');
    expect(report?.explanation).toEqual({
      totalAgents: 3,
      reasons: [
        { reason: 'InsufficientMem', agents: 2, message: 'insufficient mem (needs 4Gi, most free 1.5Gi)' },
        { reason: 'AgentDraining', agents: 1, message: 'draining' },
      ],
      message: '0/3 agents can run this task: 2 insufficient mem (needs 4Gi, most free 1.5Gi), 1 draining',
    });
  });

  test('a task is told once, and again only when the explanation changed', () => {
    const cluster = clusterOf([agentDocument('a')], [taskDocument('t', { requests: { cpus: 5, mem: '1Gi' } })]);
    expect(plan(cluster, 0)).toEqual([{ type: 'PlanAgain', afterMs: 100 }]);
    expect(messages(plan(cluster, 100))).toHaveLength(1);
    expect(plan(cluster, LATER)).toEqual([]);
    upsertTask(cluster, taskDocument('other', { requests: { cpus: 2, mem: '1Gi' } }));
    expect(messages(plan(cluster, LATER))).toEqual([
      '0/1 agents can run this task: 1 insufficient cpus (needs 5, most free 2)',
    ]);
  });

  test('a scheduler that starts again does not repeat what the status says', () => {
    const message = '0/1 agents can run this task: 1 insufficient cpus (needs 5, most free 4)';
    const scheduled = { ...condition('Scheduled', 'False'), reason: 'Unschedulable', message };
    const task = taskDocument('t', { requests: { cpus: 5, mem: '1Gi' } }, { status: { conditions: [scheduled] } });
    const cluster = clusterOf([agentDocument('a')], [task]);
    expect(messages([...plan(cluster, 0), ...plan(cluster, LATER)])).toEqual([]);
  });

  test('a field that is not implemented is named, not ignored', () => {
    const cluster = clusterOf([agentDocument('a')], [taskDocument('t', { revocable: true })]);
    expect(placements(plan(cluster, 0))).toEqual({});
    expect(messages(plan(cluster, LATER))).toEqual([
      '0/1 agents can run this task: spec.revocable is not implemented yet',
    ]);
  });
});

describe('ports', () => {
  test('ports are allocated from the range, none twice, and given back', () => {
    const ports = [{ name: 'a' }, { name: 'b', protocol: 'UDP' }];
    const tasks = Array.from({ length: 6 }, (_, index) =>
      taskDocument(`t${index}`, { requests: { cpus: '100m', mem: '1Mi' }, ports }),
    );
    const cluster = clusterOf([agentDocument('a')], tasks);
    const given = plan(cluster, 0).flatMap((action) => (action.type === 'BindTask' ? action.hostPorts : []));
    expect(given).toHaveLength(10);
    expect(new Set(given.map((port) => port.hostPort)).size).toBe(10);
    expect(given.every((port) => port.hostPort >= 31_000 && port.hostPort <= 31_009)).toBe(true);
    expect(messages(plan(cluster, LATER))).toEqual([
      '0/1 agents can run this task: 1 insufficient host ports (needs 2)',
    ]);
    removeTask(cluster, 'default/t0');
    expect(placements(plan(cluster, LATER))).toEqual({ t5: 'a' });
  });

  test('a port that the document names is taken once per agent and protocol', () => {
    const fixed = (protocol: string) => ({ ports: [{ name: 'dns', hostPort: 53, protocol }] });
    const tasks = [
      taskDocument('tcp', fixed('TCP')),
      taskDocument('udp', fixed('UDP')),
      taskDocument('late', fixed('UDP')),
    ];
    expect(placements(plan(clusterOf([agentDocument('a')], tasks), 0))).toEqual({ tcp: 'a', late: 'a' });
  });
});

describe('networks', () => {
  const networks = (...list: { name: string; capabilities?: string[]; message?: string }[]) => ({
    status: { networks: list },
  });
  const joins = (names: string[], ports: object[] = []) => ({
    network: { mode: 'Cni' as const, networks: names.map((name) => ({ name })) },
    ports,
  });

  test('a task goes where its networks are, and is told how many agents lack which', () => {
    const agents = [
      agentDocument('a', networks({ name: 'red' })),
      agentDocument('b', networks({ name: 'red' }, { name: 'blue' })),
      agentDocument('c', networks({ name: 'blue', message: 'CNI plug-in "bridge" is in none of the directories' })),
    ];
    const tasks = [taskDocument('t', joins(['red', 'blue'])), taskDocument('lost', joins(['green']))];
    const cluster = clusterOf(agents, tasks);
    expect(placements(plan(cluster, 0))).toEqual({ t: 'b' });
    expect(messages(plan(cluster, LATER))).toEqual(['0/3 agents can run this task: 3 have no network "green"']);
    const other = clusterOf([agents[0]!, agents[2]!], [taskDocument('t', joins(['blue']))]);
    plan(other, 0);
    expect(messages(plan(other, LATER))).toEqual([
      '0/2 agents can run this task: 1 cannot use network "blue" (CNI plug-in "bridge" is in none of the directories), 1 have no network "blue"',
    ]);
  });

  test('host ports are allocated only where a network leads from them to the task', () => {
    const ports = [{ name: 'http', containerPort: 80 }];
    const mapping = agentDocument('a', networks({ name: 'red', capabilities: ['portMappings'] }));
    const plain = agentDocument('a', networks({ name: 'red', capabilities: ['ips'] }));
    const silent = agentDocument('a');
    const given = [mapping, plain, silent].map((agent) =>
      plan(clusterOf([agent], [taskDocument('t', joins(['red'], ports))]), 0).flatMap((action) =>
        action.type === 'BindTask' ? [action.hostPorts.length] : [],
      ),
    );
    expect(given).toEqual([[1], [0], [1]]);
  });

  test('a host port that the document names needs a network that maps it', () => {
    const fixed = joins(['red'], [{ name: 'http', containerPort: 80, hostPort: 8080 }]);
    const agents = [
      agentDocument('a', networks({ name: 'red' })),
      agentDocument('b', networks({ name: 'red', capabilities: ['portMappings'] })),
    ];
    const cluster = clusterOf(agents, [taskDocument('t', fixed), taskDocument('u', fixed)]);
    expect(Object.values(placements(plan(cluster, 0)))).toEqual(['b']);
    expect(messages(plan(cluster, LATER))).toEqual([
      "0/2 agents can run this task: 1 cannot map host port 8080 to the task's networks, 1 host port 8080 in use",
    ]);
  });

  test('an agent that gets the network takes the task that waited for it', () => {
    const cluster = clusterOf([agentDocument('a', networks())], [taskDocument('t', joins(['red']))]);
    expect(placements(plan(cluster, LATER))).toEqual({});
    upsertAgent(cluster, agentDocument('a', networks({ name: 'red' })));
    expect(placements(plan(cluster, LATER))).toEqual({ t: 'a' });
  });
});
