/** Plays an agent: registers a node, and reports what the tasks placed on it do, without running anything. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../../controllers/machinery/client/errors.ts';
import { Agent, Task, Volume } from '../../../controllers/machinery/client/resources.ts';
import { removeFinalizer } from '../../../controllers/machinery/finalizers.ts';
import { keyOf, keyText } from '../../../controllers/machinery/key.ts';
import { patchStatus } from '../../../controllers/machinery/status.ts';
import { createInformer } from '../../../controllers/machinery/store/informer.ts';
import type {
  Agent as AgentDocument,
  Task as TaskDocument,
  TaskStatus,
  Volume as VolumeDocument,
} from '../../../crds/types.generated.ts';
import { agentDocument } from '../scheduler/documents.ts';

export interface TestAgent {
  readonly name: string;
  /** Directories that exist: `namespace/name` of volumes. */
  readonly directories: Set<string>;
  /** Names of tasks in the order in which they were started. */
  readonly started: string[];
  /** While true it neither sees nor says anything. */
  offline: boolean;
  /** Its document goes too, so that nothing more is placed on it. */
  stop(): Promise<void>;
}

/**
 * What a task does is its first container's command: `sleep` runs until it is killed, `exit N` ends at once with that code, `after MS N`
 * ends after a time.
 */
export async function startTestAgent(
  client: ApiClient,
  name: string,
  changes: Parameters<typeof agentDocument>[1] = {},
): Promise<TestAgent> {
  const abort = new AbortController();
  await register(client, agentDocument(name, changes));
  const tasks = createInformer<TaskDocument>({
    client,
    resource: Task,
    fieldSelector: `spec.binding.agentName=${name}`,
  });
  const volumes = createInformer<VolumeDocument>({ client, resource: Volume });
  const agent: TestAgent = {
    name,
    directories: new Set(),
    started: [],
    offline: false,
    async stop() {
      await client.delete(Agent, { name });
      abort.abort();
      await Promise.all(running);
      await Promise.all(work.values());
    },
  };
  /** One thing at a time for each document. */
  const work = new Map<string, Promise<void>>();
  const inTurn = (key: string, step: () => Promise<void>) => {
    const next = (work.get(key) ?? Promise.resolve()).then(async () => {
      if (abort.signal.aborted || agent.offline) return;
      await step().catch((error: unknown) => {
        if (!isNotFound(error) && !abort.signal.aborted) throw error;
      });
    });
    work.set(key, next);
  };
  tasks.onChange(({ key, new: task }) => {
    if (!task) return;
    inTurn(`task ${keyText(key)}`, async () => {
      const current = await client.get(Task, key);
      if (current) await drive(current);
    });
  });
  volumes.onChange(({ key, new: volume }) => {
    if (volume?.status?.agentName !== name) return;
    inTurn(`volume ${keyText(key)}`, async () => {
      const current = await client.get(Volume, key);
      if (current) await driveVolume(current);
    });
  });

  async function drive(task: TaskDocument): Promise<void> {
    const state = task.status?.state;
    const isEnded = ['Finished', 'Failed', 'Killed', 'Error', 'Gone', 'GoneByOperator'].includes(state ?? '');
    if (!isEnded && (task.metadata.deletionTimestamp || task.spec.desiredState === 'Killed')) {
      await report(task, { state: 'Killed', finishTime: now() });
    } else if (!isEnded && state !== 'Running') {
      if (!(await volumesAvailable(task))) {
        setTimeout(() => inTurn(`task ${keyText(keyOf(task))}`, () => again(task)), 20);
        return;
      }
      agent.started.push(task.metadata.name!);
      const [verb, ...words] = task.spec.containers[0]!.command ?? [];
      if (verb === 'exit') {
        await report(task, ended(Number(words[0])));
      } else {
        await report(task, { state: 'Running', startTime: now(), conditions: withReady(task) });
        if (verb === 'after') {
          void delay(Number(words[0]), undefined, { signal: abort.signal })
            .then(() => inTurn(`task ${keyText(keyOf(task))}`, () => end(task, Number(words[1]))))
            .catch(() => {});
        }
      }
    }
    if (task.metadata.deletionTimestamp) await removeFinalizer(client, Task, task, 'tepui.dev/task-cleanup');
  }

  async function again(task: TaskDocument): Promise<void> {
    const current = await client.get(Task, keyOf(task));
    if (current) await drive(current);
  }

  async function end(task: TaskDocument, exitCode: number): Promise<void> {
    const current = await client.get(Task, keyOf(task));
    if (current?.status?.state === 'Running') await report(current, ended(exitCode));
  }

  async function driveVolume(volume: VolumeDocument): Promise<void> {
    const key = keyText(keyOf(volume));
    if (volume.status?.state === 'Bound') {
      agent.directories.add(key);
      await writeVolume(volume, 'Available');
    } else if (volume.status?.state === 'Deleting') {
      agent.directories.delete(key);
      await writeVolume(volume, 'Deleted');
    }
  }

  async function writeVolume(volume: VolumeDocument, state: 'Available' | 'Deleted'): Promise<void> {
    await retry(async () => {
      const current = await client.get(Volume, keyOf(volume));
      if (!current) return;
      const status = { ...current.status, state, path: `/volumes/${volume.metadata.name}` };
      await patchStatus(client, Volume, current, status);
    });
  }

  async function volumesAvailable(task: TaskDocument): Promise<boolean> {
    for (const { volume } of task.spec.volumes ?? []) {
      if (!volume) continue;
      const found = await client.get(Volume, { namespace: task.metadata.namespace, name: volume.volumeName });
      if (found?.status?.state !== 'Available' || found.status.agentName !== name) return false;
    }
    return true;
  }

  async function report(task: TaskDocument, status: TaskStatus): Promise<void> {
    await retry(async () => {
      const current = await client.get(Task, keyOf(task));
      if (current?.metadata.uid !== task.metadata.uid) return;
      await patchStatus(client, Task, current!, { ...current!.status, ...status });
    });
  }

  const running = [tasks.start(abort.signal), volumes.start(abort.signal)];
  await Promise.all([tasks.whenSynced(), volumes.whenSynced()]);
  return agent;
}

async function register(client: ApiClient, document: AgentDocument): Promise<void> {
  const { status, ...rest } = document;
  try {
    await client.create(Agent, { ...rest, metadata: { ...rest.metadata, uid: undefined } });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  await client.mergePatch(Agent, { name: document.metadata.name! }, { status }, 'status');
}

function ended(exitCode: number): TaskStatus {
  if (exitCode === 0) return { state: 'Finished', exitCode, finishTime: now() };
  return { state: 'Failed', exitCode, reason: 'ExitCode', message: `exit code ${exitCode}`, finishTime: now() };
}

function withReady(task: TaskDocument): TaskStatus['conditions'] {
  const others = (task.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
  return [...others, { type: 'Ready', status: 'True', reason: 'Running', message: '', lastTransitionTime: now() }];
}

function now(): string {
  return new Date().toISOString();
}

async function retry(write: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      if (!isConflict(error) || attempt >= 20) throw error;
      await delay(attempt);
    }
  }
}
