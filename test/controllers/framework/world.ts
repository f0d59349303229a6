/** A small stand-in for server and agents, for tests of the pure plans: holds documents, applies actions, and plays what happens to tasks. */
import type { Action } from '../../../controllers/framework/actions.ts';
import { plan } from '../../../controllers/framework/plan.ts';
import type { Framework, FrameworkSpec, Task, TaskState } from '../../../crds/types.generated.ts';

export class World {
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  framework: Framework;
  readonly tasks = new Map<string, Task>();
  readonly volumes = new Set<string>();
  unmet: string[] = [];
  readonly created: string[] = [];
  readonly events: string[] = [];
  frameworkDeleted = false;
  #serial = 0;

  constructor(spec: Partial<FrameworkSpec> = {}) {
    this.framework = {
      metadata: { namespace: 'default', name: 'web', uid: 'uid-of-web', generation: 1, resourceVersion: '1' },
      spec: { template: { spec: { containers: [{ name: 'main', command: ['true'] }] } }, ...spec },
    };
  }

  plan(): Action[] {
    return plan(
      {
        framework: this.framework,
        tasks: [...this.tasks.values()],
        isTaskNameTaken: (name) => this.tasks.has(name),
        volumeExists: (name) => this.volumes.has(name),
        unmetDependencies: this.unmet,
        dependencyCycle: undefined,
        rejection: undefined,
      },
      this.nowMs,
    );
  }

  /** Plans and applies until nothing is left to do now. Throws if that never comes. */
  settle(): void {
    for (let round = 0; round < 20; round += 1) {
      const actions = this.plan().filter((action) => action.type !== 'PlanAgain');
      if (actions.length === 0) return;
      for (const action of actions) this.apply(action);
    }
    throw new Error(`does not settle: ${JSON.stringify(this.plan())}`);
  }

  /** One plan, applied. */
  once(): void {
    for (const action of this.plan()) this.apply(action);
  }

  apply(action: Action): void {
    switch (action.type) {
      case 'WriteStatus':
        this.framework = { ...this.framework, status: JSON.parse(JSON.stringify(action.status)) };
        return;
      case 'CreateTask': {
        const name = action.task.metadata.name!;
        if (this.tasks.has(name)) throw new Error(`task ${name} exists`);
        this.#serial += 1;
        const metadata = {
          ...action.task.metadata,
          uid: `uid-${this.#serial}`,
          creationTimestamp: new Date(this.nowMs).toISOString(),
        };
        this.tasks.set(name, { ...action.task, metadata });
        this.created.push(name);
        return;
      }
      case 'DeleteTask': {
        const task = this.tasks.get(action.name);
        if (!task || task.metadata.uid !== action.uid) return;
        task.metadata = { ...task.metadata, deletionTimestamp: new Date(this.nowMs).toISOString() };
        this.collect(action.name);
        return;
      }
      case 'RemoveAccounting': {
        const task = this.tasks.get(action.name);
        if (!task || task.metadata.uid !== action.uid) return;
        task.metadata = { ...task.metadata, finalizers: [] };
        this.collect(action.name);
        return;
      }
      case 'CreateVolume':
        this.volumes.add(action.volume.metadata.name!);
        return;
      case 'RecordEvent':
        this.events.push(action.reason);
        return;
      case 'DeleteFramework':
        this.frameworkDeleted = true;
        return;
      case 'PlanAgain':
        return;
    }
  }

  change(spec: Partial<FrameworkSpec>): void {
    const { metadata } = this.framework;
    this.framework = {
      ...this.framework,
      metadata: { ...metadata, generation: metadata.generation! + 1 },
      spec: { ...this.framework.spec, ...spec },
    };
  }

  changeTemplate(command: string): void {
    this.change({ template: { spec: { containers: [{ name: 'main', command: [command] }] } } });
  }

  /** The task comes to this state, as its agent would report it. Ended ones stay ended. */
  report(name: string, state: TaskState, status: Task['status'] = {}): void {
    const task = this.tasks.get(name);
    if (!task || isEnded(task)) return;
    const time = new Date(this.nowMs).toISOString();
    const times = isTerminal(state)
      ? { finishTime: time }
      : state === 'Unreachable'
        ? { unreachableTime: time }
        : { startTime: task.status?.startTime ?? time };
    task.spec = { ...task.spec, binding: { agentName: 'a' } };
    task.status = { ...task.status, ...times, state, ...status };
    this.collect(name);
  }

  /** Everything that was asked for happens: tasks start, those being deleted end. */
  runAll(): void {
    for (const [name, task] of [...this.tasks]) {
      if (task.metadata.deletionTimestamp) this.report(name, 'Killed');
      else if (!isEnded(task) && task.status?.state !== 'Unreachable') this.report(name, 'Running');
    }
  }

  /** A deleted Task is gone when it has ended (or never had a place) and nobody holds on to it. */
  collect(name: string): void {
    const task = this.tasks.get(name);
    if (!task?.metadata.deletionTimestamp || (task.metadata.finalizers ?? []).length > 0) return;
    if (isEnded(task) || !task.spec.binding) this.tasks.delete(name);
  }

  names(select: (task: Task) => boolean = () => true): string[] {
    return [...this.tasks.values()].filter(select).map((task) => task.metadata.name!);
  }

  live(): string[] {
    return this.names((task) => !isEnded(task) && !task.metadata.deletionTimestamp);
  }

  running(): string[] {
    return this.names((task) => task.status?.state === 'Running' && !task.metadata.deletionTimestamp);
  }

  condition(type: string) {
    const found = this.framework.status?.conditions?.find((condition) => condition.type === type);
    return found && { status: found.status, reason: found.reason, message: found.message };
  }

  pass(seconds: number): void {
    this.nowMs += seconds * 1000;
  }
}

export function isEnded(task: Task): boolean {
  return isTerminal(task.status?.state);
}

function isTerminal(state: string | undefined): boolean {
  return ['Finished', 'Failed', 'Killed', 'Error', 'Dropped', 'Gone', 'GoneByOperator'].includes(state ?? '');
}

/** A Framework of which everything that is wanted runs. */
export function started(spec: ConstructorParameters<typeof World>[0]): World {
  const world = new World(spec);
  for (let round = 0; round < 3; round += 1) {
    world.settle();
    world.runAll();
  }
  world.settle();
  return world;
}

/** Of the tasks that live, in order. */
export function indexes(world: World): number[] {
  return world
    .live()
    .map((name) => world.tasks.get(name)!.spec.index!)
    .sort();
}
