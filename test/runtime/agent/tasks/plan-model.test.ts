/** The plan and the steps of records in a world of their own, where containers start and end as they like and the agent is killed at any moment. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { TaskSpec } from '../../../../crds/types.generated.ts';
import { taskRecord } from '../../../../runtime/agent/tasks/launch.ts';
import { type Action, type ContainerView, type Observed, plan } from '../../../../runtime/agent/tasks/plan.ts';
import { containerIdOf, type TaskRecord } from '../../../../runtime/agent/tasks/record.ts';
import { isTerminal } from '../../../../runtime/agent/tasks/status.ts';
import {
  beginKill,
  beginStop,
  intend,
  markForced,
  markLaunched,
  markRemoved,
  noteEnds,
  settled,
} from '../../../../runtime/agent/tasks/steps.ts';
import { documentView, NOW } from '../support/observed.ts';

const BOOT = 'boot-1';

interface Operation {
  kind: 'Start' | 'Remove';
  name: string;
  aborted: boolean;
}

/** What there is beside the agent's memory: containers by id, and the record on disk. */
class World {
  readonly containers = new Map<string, { end?: { exitCode?: number; signal?: number; finishedAtMs: number } }>();
  readonly launches: string[] = [];
  onDisk: TaskRecord | undefined;
  nowMs = NOW;
  wished: 'Running' | 'Killed' = 'Running';
}

/** One agent process: its memory, and what it does. */
class AgentProcess {
  private readonly world: World;
  private readonly spec: TaskSpec;
  record: TaskRecord | undefined;
  private readonly views = new Map<string, ContainerView>();
  private readonly operations = new Map<string, Operation>();
  private sharedReady = false;

  constructor(world: World, spec: TaskSpec) {
    this.world = world;
    this.spec = spec;
    this.record = world.onDisk;
    for (const container of this.record?.containers ?? []) this.look(container.name);
  }

  /** Plans and acts until nothing is left to do at this moment. */
  settleDown(): void {
    for (let round = 0; ; round += 1) {
      if (round > 100)
        throw new Error(`the plan does not come to rest: ${JSON.stringify(plan(this.observe(), this.world.nowMs))}`);
      const actions = plan(this.observe(), this.world.nowMs);
      const changes = actions.map((action) => this.act(action));
      if (!changes.some((changed) => changed)) return;
    }
  }

  private look(name: string): void {
    const container = this.record?.containers.find((candidate) => candidate.name === name);
    if (this.record === undefined || container === undefined) return;
    const containerId = containerIdOf(this.record, container);
    const found = this.world.containers.get(containerId);
    if (found === undefined) this.views.set(name, { kind: 'None', neverStarted: true });
    else if (found.end === undefined) this.views.set(name, { kind: 'Running' });
    else {
      const { finishedAtMs, ...end } = found.end;
      const termination = { containerId, oomKilled: false, finishedAt: new Date(finishedAtMs), ...end };
      this.views.set(name, { kind: 'Ended', termination });
    }
  }

  private observe(): Observed {
    const { record } = this;
    return {
      bootId: BOOT,
      document: documentView({
        state: record?.report.state ?? 'Staging',
        killWanted: this.world.wished === 'Killed',
        reported: true,
      }),
      documentsKnown: true,
      record,
      containers: Object.fromEntries(this.views),
      busy: new Set(this.operations.keys()),
      shared: this.sharedReady ? 'Ready' : 'Absent',
      readiness: { kind: 'Ready' },
    };
  }

  private change(step: (record: TaskRecord) => TaskRecord, durable = true): true {
    this.record = step(this.record!);
    if (durable) this.world.onDisk = this.record;
    return true;
  }

  private act(action: Action): boolean {
    const { world } = this;
    switch (action.type) {
      case 'Launch': {
        const context = { sandboxRoot: '/s', agent: { bootId: BOOT } as never, now: () => world.nowMs };
        const metadata = { namespace: 'default', name: 'task', uid: 'u1' };
        expect(this.record).toBeUndefined();
        this.record = taskRecord(context, { metadata, spec: this.spec }, 'g');
        world.onDisk = this.record;
        for (const { name } of this.record.containers) this.look(name);
        return true;
      }
      case 'PrepareShared':
        this.sharedReady = true;
        return true;
      case 'Start':
      case 'Remove':
        expect(this.operations.has(action.name)).toBe(false);
        this.operations.set(action.name, { kind: action.type, name: action.name, aborted: false });
        if (action.type === 'Start') this.change((record) => intend(record, action.name));
        return true;
      case 'TakeBack':
        return this.change(
          (record) => markLaunched(record, action.name, { startedAtMs: world.nowMs }, world.nowMs),
          false,
        );
      case 'NoteEnds':
        return this.change((record) => noteEnds(record, action.ends, BOOT));
      case 'Kill': {
        this.change((record) => beginKill(noteEnds(record, action.ends, BOOT), action.kill, undefined));
        for (const name of action.running) this.change((record) => beginStop(record, name, world.nowMs));
        for (const operation of this.operations.values()) operation.aborted = true;
        return true;
      }
      case 'Stop':
        return this.change((record) => beginStop(record, action.name, world.nowMs, action.unhealthy));
      case 'ForceKill':
        this.change((record) => markForced(record, action.name, world.nowMs));
        this.end(action.name, { signal: 9 });
        return true;
      case 'Settle':
        return this.change((record) => settled(noteEnds(record, action.ends, BOOT), action.step, world.nowMs));
      case 'RemoveShared':
        this.sharedReady = false;
        return this.change((record) => ({ ...record, phase: 'Cleaned' }), false);
      default:
        return false;
    }
  }

  /** What the oldest operation was after comes to pass. */
  finishOperation(which: number, fails: boolean): void {
    const operation = [...this.operations.values()][which % Math.max(1, this.operations.size)];
    if (operation === undefined) return;
    this.operations.delete(operation.name);
    const { name } = operation;
    const container = this.record!.containers.find((candidate) => candidate.name === name)!;
    const containerId = containerIdOf(this.record!, container);
    if (operation.kind === 'Remove') {
      this.world.containers.delete(containerId);
      this.change((record) => markRemoved(record, name), false);
    } else if (fails || operation.aborted) {
      const end = { failure: { reason: 'r', message: 'm' }, finishedAtMs: this.world.nowMs };
      this.change((record) => noteEnds(record, [{ name, run: container.run, end }], BOOT), false);
    } else {
      this.world.launches.push(containerId);
      this.world.containers.set(containerId, {});
      this.change((record) => markLaunched(record, name, { startedAtMs: this.world.nowMs }, this.world.nowMs), false);
    }
    this.look(name);
  }

  /** The launch that is under way reaches the containerizer, and the agent is killed before it hears of it. */
  launchUnheard(): void {
    const operation = [...this.operations.values()].find(({ kind }) => kind === 'Start');
    if (operation === undefined) return;
    const container = this.record!.containers.find(({ name }) => name === operation.name)!;
    const containerId = containerIdOf(this.record!, container);
    this.world.launches.push(containerId);
    this.world.containers.set(containerId, {});
  }

  end(name: string, end: { exitCode?: number; signal?: number }): void {
    const container = this.record?.containers.find((candidate) => candidate.name === name);
    if (container === undefined) return;
    const found = this.world.containers.get(containerIdOf(this.record!, container));
    if (found === undefined || found.end !== undefined) return;
    found.end = { ...end, finishedAtMs: this.world.nowMs };
    this.look(name);
  }

  names(): string[] {
    return this.record?.containers.map(({ name }) => name) ?? [];
  }

  isBusy(): boolean {
    return this.operations.size > 0;
  }
}

type Event =
  | { type: 'Finish'; which: number; fails: boolean }
  | { type: 'End'; which: number; exitCode: number }
  | { type: 'Wait'; ms: number }
  | { type: 'Crash'; unheard: boolean; losesLast: boolean }
  | { type: 'Kill' };

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant('Finish' as const), which: fc.nat(3), fails: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('End' as const),
      which: fc.nat(3),
      exitCode: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('Wait' as const), ms: fc.constantFrom(10, 1500, 400_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('Crash' as const), unheard: fc.boolean(), losesLast: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('Kill' as const) }) },
);

const anySpec: fc.Arbitrary<TaskSpec> = fc
  .record({
    inits: fc.nat(2),
    mains: fc.integer({ min: 1, max: 3 }),
    condition: fc.constantFrom('Never' as const, 'OnFailure' as const, 'Always' as const),
    maxRestarts: fc.option(fc.nat(2), { nil: undefined }),
    dependency: fc.option(fc.constantFrom('Started' as const, 'Completed' as const), { nil: undefined }),
  })
  .map(({ inits, mains, condition, maxRestarts, dependency }) => ({
    initContainers: Array.from({ length: inits }, (_, index) => ({ name: `i${index}`, command: ['x'] })),
    containers: Array.from({ length: mains }, (_, index) => ({
      name: `c${index}`,
      command: ['x'],
      ...(index > 0 && dependency && { dependsOn: [{ name: `c${index - 1}`, condition: dependency }] }),
    })),
    restartPolicy: { condition, ...(maxRestarts !== undefined && { maxRestarts }) },
  }));

describe('a task in a world of its own', () => {
  test('whatever happens, no run is launched twice, order is kept, and it comes to its end with nothing left', () => {
    fc.assert(
      fc.property(anySpec, fc.array(anyEvent, { maxLength: 40 }), (spec, events) => {
        const world = new World();
        let agent = new AgentProcess(world, spec);
        agent.settleDown();
        const step = (event: Event): void => {
          switch (event.type) {
            case 'Finish':
              agent.finishOperation(event.which, event.fails);
              break;
            case 'End':
              agent.end(agent.names()[event.which % Math.max(1, agent.names().length)] ?? '', {
                exitCode: event.exitCode,
              });
              break;
            case 'Wait':
              world.nowMs += event.ms;
              break;
            case 'Crash':
              if (event.unheard) agent.launchUnheard();
              if (!event.losesLast && agent.record !== undefined) world.onDisk = agent.record;
              agent = new AgentProcess(world, spec);
              break;
            case 'Kill':
              world.wished = 'Killed';
          }
          agent.settleDown();
          check(world, agent, spec);
        };
        events.forEach(step);
        world.wished = 'Killed';
        agent.settleDown();
        for (let round = 0; agent.record?.phase !== 'Cleaned'; round += 1) {
          expect(round).toBeLessThan(200);
          world.nowMs += 20_000;
          agent.settleDown();
          if (agent.isBusy()) agent.finishOperation(0, false);
          agent.settleDown();
          check(world, agent, spec);
        }
        expect(isTerminal(agent.record.report.state)).toBe(true);
        expect([...world.containers.keys()]).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});

function check(world: World, agent: AgentProcess, spec: TaskSpec): void {
  expect(new Set(world.launches).size).toBe(world.launches.length);
  const firstLaunch = (name: string): number => {
    const isGroup = (spec.initContainers?.length ?? 0) + spec.containers.length > 1;
    const id = isGroup ? `g.${name}` : 'g';
    return world.launches.findIndex((launch) => launch === id || launch.startsWith(`${id}.`));
  };
  const inits = (spec.initContainers ?? []).map(({ name }) => name);
  // An init container is launched after those before it, and all others after the last.
  const order = [...inits.map(firstLaunch), ...spec.containers.map(({ name }) => firstLaunch(name))];
  for (const [index, at] of order.entries()) {
    if (at < 0) continue;
    for (const earlier of order.slice(0, Math.min(index, inits.length))) {
      expect(earlier).toBeGreaterThanOrEqual(0);
      expect(earlier).toBeLessThan(at);
    }
  }
  const { record } = agent;
  if (record === undefined) return;
  if (record.phase !== 'Live') {
    // Decided: nothing of it runs any more.
    for (const { end } of world.containers.values()) expect(end).toBeDefined();
  }
  if (record.report.state === 'Finished') {
    for (const container of record.containers) expect(container.end?.exitCode).toBe(0);
  }
}
