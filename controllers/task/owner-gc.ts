import type { Framework as FrameworkDocument } from '../../crds/types.generated.ts';
import type { ApiObject, ObjectKey, Resource } from '../machinery/client/client.ts';
import { Framework, Task, Volume } from '../machinery/client/resources.ts';
import { keyOf } from '../machinery/key.ts';
import type { Manager } from '../machinery/manager/manager.ts';
import { done, type Outcome } from '../machinery/outcome.ts';
import { controllerOf } from '../machinery/owners.ts';

/**
 * Deletes Tasks and Volumes whose Framework is gone or on its way out. API servers with a garbage collector do the same by themselves; some
 * have none, and doing it twice is harmless (the deletion names the uid).
 */
export function registerOwnerGarbageCollector(manager: Manager): void {
  collectOwned(manager, 'task-owner-gc', Task);
  collectOwned(manager, 'volume-owner-gc', Volume);
}

function collectOwned<T extends ApiObject>(manager: Manager, name: string, resource: Resource<T>): void {
  const { client } = manager;
  const objects = manager.informer(resource).store;
  const frameworks = manager.informer(Framework).store;
  objects.addIndex(`${name}/owner`, (object) => ownerUid(object));

  const reconcile = async (request: ObjectKey): Promise<Outcome> => {
    const object = objects.get(request);
    const uid = object && ownerUid(object)[0];
    if (!object || uid === undefined || object.metadata?.deletionTimestamp) return done;
    const key = { namespace: request.namespace, name: controllerOf(object)!.name };
    if (keeps(frameworks.get(key), uid)) return done;
    // The caches of two kinds do not move together: only the server knows whether the owner is really gone.
    if (keeps(await client.get(Framework, key), uid)) return done;
    await client.delete(resource, keyOf(object), { uid: object.metadata?.uid, propagationPolicy: 'Background' });
    manager.logger.info(
      { ...request, framework: key.name, resource: resource.plural },
      'Deleted what a framework left',
    );
    return done;
  };

  manager
    .controller(name)
    .for(resource, ({ old, new: next }) => next !== undefined && ownerUid(next)[0] !== (old && ownerUid(old)[0]))
    .watches(
      Framework,
      (framework) => objects.byIndex(`${name}/owner`, framework.metadata.uid ?? '').map(keyOf),
      ({ new: next }) => next === undefined || next.metadata.deletionTimestamp !== undefined,
    )
    .with(reconcile);
}

function ownerUid(object: ApiObject): string[] {
  const owner = controllerOf(object);
  return owner && owner.kind === Framework.kind && owner.apiVersion.startsWith(`${Framework.group}/`)
    ? [owner.uid]
    : [];
}

function keeps(framework: FrameworkDocument | undefined, uid: string): boolean {
  if (framework?.metadata.uid !== uid) return false;
  // With `--cascade=orphan` the server first takes the references out of the dependents; until then they still look owned.
  return framework.metadata.deletionTimestamp === undefined || (framework.metadata.finalizers ?? []).includes('orphan');
}
