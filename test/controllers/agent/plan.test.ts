import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { allocationOf } from '../../../controllers/agent/allocated.ts';
import { LeaseObserver } from '../../../controllers/agent/lease-observer.ts';
import { type Action, type Observed, plan } from '../../../controllers/agent/plan.ts';
import { hasEnded, TASK_CLEANUP_FINALIZER } from '../../../controllers/task/states.ts';
import { statusAfter } from '../../../controllers/task/status-change.ts';
import type { Agent, Task, TaskState } from '../../../crds/types.generated.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const STATES: (TaskState | undefined)[] = [
  undefined,
  'Staging',
  'Starting',
  'Running',
  'Killing',
  'Unreachable',
  'Finished',
  'Failed',
  'Killed',
  'Error',
  'Dropped',
  'Gone',
  'GoneByOperator',
];

const task = (name: string, state?: TaskState, more: Partial<Task['metadata']> = {}): Task => ({
  metadata: { namespace: 'n', name, uid: name, generation: 1, finalizers: [TASK_CLEANUP_FINALIZER], ...more },
  spec: {
    binding: { agentName: 'node' },
    containers: [{ name: 'main', command: ['true'], resources: { requests: { cpus: '500m', mem: '64Mi' } } }],
  },
  ...(state ? { status: { state } } : {}),
});
const registered: Agent['status'] = {
  conditions: [
    { type: 'Ready', status: 'True', reason: 'AgentRegistered', message: '', lastTransitionTime: 't' },
    { type: 'Reachable', status: 'True', reason: 'AgentRegistered', message: '', lastTransitionTime: 't' },
  ],
};
const agent = (spec: Agent['spec'] = {}, status = registered): Agent => ({
  metadata: { name: 'node', generation: 1 },
  spec,
  status,
});
const observed = (more: Partial<Observed> = {}): Observed => ({
  name: 'node',
  agent: agent(),
  lease: { unchangedForMs: 1000, durationMs: 75_000, exists: true },
  tasks: [],
  removalAllowed: false,
  allocatedWrittenMsAgo: Number.POSITIVE_INFINITY,
  allocatedEveryMs: 2000,
  ...more,
});
const silent = { unchangedForMs: 80_000, durationMs: 75_000, exists: true };
const changes = (actions: Action[]) =>
  actions.flatMap((action) =>
    action.type === 'ChangeTask' ? [`${action.task.metadata.name} ${action.change.state} ${action.change.reason}`] : [],
  );
const types = (actions: Action[]) => actions.map(({ type }) => type);
const statusOf = (actions: Action[]) =>
  actions.flatMap((action) => (action.type === 'WriteStatus' ? [action.status] : []))[0];
const condition = (actions: Action[], type: string) =>
  statusOf(actions)?.conditions?.find((candidate) => candidate.type === type);

describe('an agent that is heard of', () => {
  test('is left alone, and looked at again when its lease would end', () => {
    const settled = agent({}, { ...registered, allocated: { cpus: '0', mem: '0' }, tasks: 0 });
    expect(plan(observed({ agent: settled }), NOW)).toEqual([{ type: 'LookAgainAfter', ms: 74_001 }]);
  });

  test('takes its Unreachable tasks back itself', () => {
    expect(changes(plan(observed({ tasks: [task('a', 'Unreachable')] }), NOW))).toEqual([]);
  });

  test('that never registered says so', () => {
    expect(condition(plan(observed({ agent: agent({}, {}) }), NOW), 'Ready')).toMatchObject({
      status: 'Unknown',
      reason: 'AgentNotRegistered',
    });
  });

  test('that came back loses its unreachableTime', () => {
    const back = agent({}, { ...registered, unreachableTime: 't' });
    expect(statusOf(plan(observed({ agent: back }), NOW))?.unreachableTime).toBeUndefined();
    const notYet = agent(
      {},
      { conditions: [{ ...registered.conditions![1]!, status: 'False' }], unreachableTime: 't' },
    );
    expect(statusOf(plan(observed({ agent: notYet }), NOW))?.unreachableTime).toBe('t');
  });
});

describe('an agent that fell silent', () => {
  test('is not given up before that is confirmed', () => {
    expect(plan(observed({ lease: silent, tasks: [task('a', 'Running')] }), NOW)).toEqual([{ type: 'ConfirmRemoval' }]);
  });

  test('is then Unknown and out of reach, and its tasks that have not ended are Unreachable', () => {
    const tasks = STATES.map((state, index) => task(`${state ?? 'new'}-${index}`, state));
    const actions = plan(observed({ lease: silent, tasks, removalAllowed: true }), NOW);
    expect(changes(actions)).toEqual(
      ['new-0', 'Staging-1', 'Starting-2', 'Running-3', 'Killing-4'].map((name) => `${name} Unreachable AgentRemoved`),
    );
    expect(condition(actions, 'Ready')).toMatchObject({ status: 'Unknown', reason: 'AgentUnreachable' });
    expect(condition(actions, 'Reachable')).toMatchObject({ status: 'False', reason: 'AgentUnreachable' });
    expect(statusOf(actions)?.unreachableTime).toBe('2026-01-01T00:00:00Z');
  });

  test('keeps its tasks from being forgotten', () => {
    const deleting = task('a', 'Running', { deletionTimestamp: 't' });
    expect(types(plan(observed({ lease: silent, tasks: [deleting], removalAllowed: true }), NOW))).not.toContain(
      'RemoveFinalizer',
    );
  });

  test('that is given up already gets later tasks marked without asking again', () => {
    const first = plan(observed({ lease: silent, removalAllowed: true }), NOW);
    const given = agent({}, statusOf(first));
    expect(changes(plan(observed({ agent: given, lease: silent, tasks: [task('late')] }), NOW))).toEqual([
      'late Unreachable AgentRemoved',
    ]);
  });
});

describe('an agent that is gone for ever', () => {
  test('by spec.gone: tasks end, deletions go through, at once', () => {
    const tasks = [task('a', 'Running'), task('b', 'Unreachable', { deletionTimestamp: 't' }), task('c', 'Finished')];
    const actions = plan(observed({ agent: agent({ gone: true }), tasks }), NOW);
    expect(changes(actions)).toEqual([
      'a GoneByOperator AgentRemovedByOperator',
      'b GoneByOperator AgentRemovedByOperator',
    ]);
    expect(actions.flatMap((action) => (action.type === 'RemoveFinalizer' ? [action.task.metadata.name] : []))).toEqual(
      ['b'],
    );
    expect(condition(actions, 'Ready')).toMatchObject({ status: 'False', reason: 'AgentRemovedByOperator' });
  });

  test('by deletion: only once it is silent', () => {
    const deleted = { agent: undefined, tasks: [task('a', 'Running', { deletionTimestamp: 't' })] };
    expect(types(plan(observed(deleted), NOW))).toEqual(['LookAgainAfter']);
    expect(plan(observed({ ...deleted, lease: silent }), NOW)).toEqual([{ type: 'ConfirmRemoval' }]);
    const actions = plan(observed({ ...deleted, lease: silent, removalAllowed: true }), NOW);
    expect(changes(actions)).toEqual(['a Gone AgentRemoved']);
    expect(types(actions)).toEqual(['ChangeTask', 'RemoveFinalizer', 'DeleteLease']);
  });

  test('and of whom nothing is left: nothing', () => {
    expect(plan(observed({ agent: undefined, lease: { ...silent, exists: false } }), NOW)).toEqual([]);
  });
});

test('drain is refused in a condition, which goes with the field', () => {
  const actions = plan(observed({ agent: agent({ drain: {} }) }), NOW);
  expect(condition(actions, 'Drained')).toMatchObject({ status: 'False', reason: 'NotImplemented' });
  expect(condition(plan(observed({ agent: agent({}, statusOf(actions)) }), NOW), 'Drained')).toBeUndefined();
});

describe('what tasks hold', () => {
  test('is the sum of those that have not ended', () => {
    const withPorts = task('p', 'Running');
    withPorts.spec.binding!.hostPorts = [31_000, 31_001, 31_005].map((hostPort) => ({
      container: 'main',
      name: `p${hostPort}`,
      hostPort,
    }));
    const { allocated, tasks } = allocationOf([withPorts, task('u', 'Unreachable'), task('f', 'Finished')]);
    expect(allocated).toEqual({ cpus: '1', mem: '128Mi', ports: '31000-31001,31005-31005' });
    expect(tasks).toBe(2);
  });

  test('of init containers the largest counts, and requests that are absent are the defaults', () => {
    const initial = task('i');
    initial.spec.initContainers = [
      { name: 'big', command: ['true'], resources: { requests: { cpus: 2, mem: '4Mi' } } },
    ];
    expect(allocationOf([initial]).allocated).toEqual({ cpus: '2', mem: '64Mi' });
    const silentAboutMem = task('d');
    silentAboutMem.spec.containers[0]!.resources = {};
    expect(allocationOf([silentAboutMem]).allocated).toEqual({ cpus: '100m', mem: '128Mi' });
  });

  test('is written at most once in a while', () => {
    const early = observed({ tasks: [task('a', 'Running')], allocatedWrittenMsAgo: 500 });
    const actions = plan(early, NOW);
    expect(statusOf(actions)).toBeUndefined();
    expect(actions).toContainEqual({ type: 'LookAgainAfter', ms: 1500 });
    expect(statusOf(plan({ ...early, allocatedWrittenMsAgo: 2000 }, NOW))).toMatchObject({
      tasks: 1,
      allocated: { cpus: '500m', mem: '64Mi' },
    });
  });
});

describe('in any situation', () => {
  const anyTask = fc.record({ state: fc.constantFrom(...STATES), deleting: fc.boolean(), held: fc.boolean() });
  const situation = fc.record({
    tasks: fc.array(anyTask, { maxLength: 6 }),
    spec: fc.constantFrom<Agent['spec'] | undefined>(
      {},
      { gone: true },
      { drain: {} },
      { deactivated: true },
      undefined,
    ),
    isSilent: fc.boolean(),
    exists: fc.boolean(),
    removalAllowed: fc.boolean(),
    knownBefore: fc.boolean(),
  });
  const build = ({
    tasks,
    spec,
    isSilent,
    exists,
    removalAllowed,
    knownBefore,
  }: typeof situation extends fc.Arbitrary<infer S> ? S : never) =>
    observed({
      agent: spec && agent(spec, knownBefore ? registered : {}),
      lease: { unchangedForMs: isSilent ? 80_000 : 10, durationMs: 75_000, exists },
      tasks: tasks.map(({ state, deleting, held }, index) =>
        task(`t${index}`, state, {
          ...(deleting ? { deletionTimestamp: 't' } : {}),
          ...(held ? {} : { finalizers: [] }),
        }),
      ),
      removalAllowed,
    });

  /** The world after the actions, as the next reconcile sees it. */
  const after = (before: Observed, actions: Action[]): Observed => {
    let { agent: document, lease } = before;
    const tasks = new Map(before.tasks.map((each) => [each.metadata.name!, each]));
    for (const action of actions) {
      if (action.type === 'WriteStatus') document = { ...document!, status: action.status };
      if (action.type === 'ChangeTask')
        tasks.set(action.task.metadata.name!, {
          ...tasks.get(action.task.metadata.name!)!,
          status: statusAfter(action.task, action.change, NOW),
        });
      if (action.type === 'RemoveFinalizer') tasks.delete(action.task.metadata.name!);
      if (action.type === 'DeleteLease') lease = { ...lease, exists: false };
    }
    return { ...before, agent: document, lease, tasks: [...tasks.values()] };
  };

  test('an ended task is never changed, and no finalizer is taken from an agent that may live', () => {
    fc.assert(
      fc.property(situation, (parts) => {
        const given = build(parts);
        for (const action of plan(given, NOW)) {
          if (action.type === 'ChangeTask') expect(hasEnded(action.task)).toBe(false);
          if (action.type === 'RemoveFinalizer')
            expect(given.agent === undefined ? parts.isSilent : given.agent.spec.gone).toBe(true);
        }
      }),
    );
  });

  test('nothing is given up without confirmation', () => {
    fc.assert(
      fc.property(situation, (parts) => {
        const given = build({ ...parts, removalAllowed: false });
        if (given.agent?.spec.gone) return;
        expect(changes(plan(given, NOW))).toEqual([]);
      }),
    );
  });

  test('acting once settles: the next plan only waits', () => {
    fc.assert(
      fc.property(situation, (parts) => {
        const given = build({ ...parts, removalAllowed: true });
        const next = after(given, plan(given, NOW));
        expect(types(plan(next, NOW)).filter((type) => type !== 'LookAgainAfter')).toEqual([]);
      }),
    );
  });
});

describe('the observer of leases', () => {
  const lease = (renewTime: string, leaseDurationSeconds?: number) => ({
    spec: { renewTime, ...(leaseDurationSeconds ? { leaseDurationSeconds } : {}) },
  });

  function setUp() {
    const time = { now: 1_000_000 };
    return { time, observer: new LeaseObserver(() => time.now, 75_000) };
  }

  test('counts from its own first look, whatever the time in the lease', () => {
    for (const stamp of ['1970-01-01T00:00:00.000000Z', '2099-01-01T00:00:00.000000Z']) {
      const { time, observer } = setUp();
      observer.observe('node', lease(stamp, 40));
      time.now += 30_000;
      observer.observe('node', lease(stamp, 40));
      expect(observer.view('node')).toEqual({ unchangedForMs: 30_000, durationMs: 40_000, exists: true });
    }
  });

  test('starts anew with every renewal', () => {
    const { time, observer } = setUp();
    observer.observe('node', lease('a'));
    time.now += 70_000;
    observer.observe('node', lease('b'));
    time.now += 5_000;
    expect(observer.view('node')).toEqual({ unchangedForMs: 5_000, durationMs: 75_000, exists: true });
  });

  test('gives an agent without a lease the full time too', () => {
    const { time, observer } = setUp();
    expect(observer.view('node')).toEqual({ unchangedForMs: 0, durationMs: 75_000, exists: false });
    time.now += 10;
    expect(observer.view('node').unchangedForMs).toBe(10);
  });

  test('lets nothing count for which it was blind', () => {
    const { time, observer } = setUp();
    observer.observe('node', lease('a'));
    expect(observer.regainedSight()).toBe(false);
    observer.lostSight();
    time.now += 600_000;
    expect(observer.regainedSight()).toBe(true);
    expect(observer.view('node').unchangedForMs).toBe(0);
    expect(observer.regainedSight()).toBe(false);
  });
});
