/** Wires the framework controller: observe -> plan -> perform. */
import type { Framework as FrameworkDocument, Task as TaskDocument } from '../../crds/types.generated.ts';
import type { ObjectKey } from '../machinery/client/client.ts';
import { isInvalid } from '../machinery/client/errors.ts';
import { Framework, Task, Volume } from '../machinery/client/resources.ts';
import { removeFinalizer } from '../machinery/finalizers.ts';
import { keyText } from '../machinery/key.ts';
import type { Manager } from '../machinery/manager/manager.ts';
import { done, requeueAfter } from '../machinery/outcome.ts';
import { controllerOf, isControlledBy } from '../machinery/owners.ts';
import type { Store } from '../machinery/store/object-store.ts';
import { dependencyCycle, dependencyNames, unmetDependencies } from './dependencies.ts';
import { ACCOUNTING_FINALIZER } from './names.ts';
import type { Observed } from './observed.ts';
import { perform } from './perform.ts';
import { plan } from './plan.ts';
import { RecentWrites } from './recent-writes.ts';

/** A template that the server refused is tried again after this time, should its schema have changed. */
const RETRY_REJECTED_MS = 60_000;

/** Makes the Tasks and Volumes that Frameworks declare, and keeps their status. */
export function registerFrameworkController(manager: Manager): void {
  const frameworks = manager.informer(Framework).store;
  const tasks = manager.informer(Task).store;
  const volumes = manager.informer(Volume).store;
  frameworks.addIndex('dependsOn', indexByDependency);
  tasks.addIndex('framework', indexByFramework);
  const now = () => manager.clock.now();
  const recentFrameworks = new RecentWrites(manager.informer(Framework), now);
  const recentTasks = new RecentWrites(manager.informer(Task), now);
  const events = manager.events('tepui.dev/framework-controller');
  const rejections = new Map<string, { generation: number | undefined; message: string; atMs: number }>();

  manager
    .controller('framework')
    .for(Framework)
    .owns(Task)
    .watches(Framework, (framework) => mapFrameworkToDependents(framework, frameworks))
    .with(
      async (request) => {
        const key = keyText(request);
        const framework = recentFrameworks.newest(key, frameworks.get(request));
        const known = recentTasks.overlay(tasks.byIndex('framework', key), (task) =>
          indexByFramework(task).includes(key),
        );
        await letOrphansGo(manager, known, framework);
        if (!framework) return done;

        const rejection = rejections.get(framework.metadata.uid ?? '');
        const observed: Observed = {
          framework,
          tasks: known.filter((task) => isControlledBy(task, framework)),
          isTaskNameTaken: (name) => {
            const taskKey = keyText({ ...request, name });
            return recentTasks.newest(taskKey, tasks.get(taskKey)) !== undefined;
          },
          volumeExists: (name) => volumes.get({ ...request, name }) !== undefined,
          unmetDependencies: unmetDependencies(framework, (name) => frameworks.get({ ...request, name })),
          dependencyCycle: dependencyCycle(framework, (name) => frameworks.get({ ...request, name })),
          rejection:
            rejection?.generation === framework.metadata.generation && now() - rejection!.atMs < RETRY_REJECTED_MS
              ? rejection?.message
              : undefined,
        };
        const performer = {
          client: manager.client,
          events,
          recentFrameworks,
          recentTasks,
          findTask: (name: string) => known.find((task) => task.metadata.name === name),
          onRejected: ({ metadata: { uid = '', generation } }: FrameworkDocument, message: string) => {
            rejections.set(uid, { generation, message, atMs: now() });
          },
        };
        try {
          const againAfterMs = await perform(performer, framework, plan(observed, now()));
          if (observed.rejection !== undefined) return requeueAfter(RETRY_REJECTED_MS);
          return againAfterMs === undefined ? done : requeueAfter(againAfterMs);
        } catch (error) {
          // What the server calls invalid is invalid the next time too: the status says so, see `rejection`.
          if (isInvalid(error) && rejections.has(framework.metadata.uid ?? '')) return requeueAfter(0);
          throw error;
        } finally {
          if (framework.metadata.deletionTimestamp) rejections.delete(framework.metadata.uid ?? '');
        }
      },
      { concurrency: 4 },
    );
}

/** Frameworks that wait, or may wait, for this one. */
export function mapFrameworkToDependents(
  framework: FrameworkDocument,
  frameworks: Store<FrameworkDocument>,
): ObjectKey[] {
  const { namespace, name } = framework.metadata;
  return frameworks
    .byIndex('dependsOn', `${namespace}/${name}`)
    .map(({ metadata }) => ({ namespace, name: metadata.name! }));
}

function indexByDependency(framework: FrameworkDocument): string[] {
  return dependencyNames(framework).map((name) => `${framework.metadata.namespace}/${name}`);
}

function indexByFramework(task: TaskDocument): string[] {
  const owner = controllerOf(task);
  return owner?.kind === 'Framework' ? [`${task.metadata.namespace}/${owner.name}`] : [];
}

/** Tasks of a Framework that is gone have nobody who would count them. */
async function letOrphansGo(
  manager: Manager,
  tasks: readonly TaskDocument[],
  framework: FrameworkDocument | undefined,
): Promise<void> {
  const orphans = tasks.filter(
    (task) =>
      task.metadata.finalizers?.includes(ACCOUNTING_FINALIZER) && !(framework && isControlledBy(task, framework)),
  );
  await Promise.all(orphans.map((task) => removeFinalizer(manager.client, Task, task, ACCOUNTING_FINALIZER)));
}
