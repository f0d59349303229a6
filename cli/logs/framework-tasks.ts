/** The tasks of a framework, also those that come later. */
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { Framework, Task } from '../../controllers/machinery/client/resources.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { watchObjects } from '../watch-objects.ts';
import { tasksOf } from './sources.ts';

export interface FoundTask {
  task: Task;
  /** It came while the framework was followed. */
  isLater: boolean;
}

/**
 * Yields each task once, as soon as it has output to read. Ends when no more will come: the framework is deleted, or is a Job that is over. Rejects
 * with a CliError when there is no such framework.
 */
export async function* frameworkTasks(
  client: ApiClient,
  namespace: string,
  framework: string,
): AsyncGenerator<FoundTask> {
  if (!(await client.get(Framework, { namespace, name: framework })))
    throw new CliError(`no framework "${framework}" in namespace "${namespace}"`, EXIT_CODES.notFound.code);
  const selection = { namespace, fieldSelector: tasksOf(framework) };
  const isOver = new AbortController();
  let failure: unknown;
  void untilOver(client, namespace, framework, isOver.signal)
    .catch((error: unknown) => {
      failure = error;
    })
    .finally(() => isOver.abort());
  const told = new Set<string | undefined>();
  let isLater = false;
  const found = function* (tasks: Task[]): Generator<FoundTask> {
    for (const task of tasks) {
      const { uid } = task.metadata;
      if (told.has(uid) || task.status?.containerId === undefined) continue;
      told.add(uid);
      yield { task, isLater };
    }
    isLater = true;
  };
  try {
    for await (const seen of watchObjects(client, Task, selection, isOver.signal)) {
      if (seen.type === 'Deleted') continue;
      yield* found(seen.type === 'Listed' ? seen.items : [seen.object]);
    }
    if (failure !== undefined) throw failure;
    // What began and ended just before the end.
    yield* found((await client.list(Task, selection)).items);
  } finally {
    isOver.abort();
  }
}

async function untilOver(client: ApiClient, namespace: string, name: string, signal: AbortSignal): Promise<void> {
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  for await (const seen of watchObjects(client, Framework, selection, signal)) {
    if (seen.type === 'Deleted') return;
    const framework = seen.type === 'Listed' ? seen.items[0] : seen.object;
    if (framework === undefined || isEnded(framework)) return;
  }
}

function isEnded({ status }: Framework): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status }) => (type === 'Succeeded' || type === 'Failed') && status === 'True',
  );
}
