import type { KubernetesObject } from '../resources/definition.ts';

/** Where an object is: storage key, namespace and name in one text. */
export type ObjectKey = string;

export function objectKey(storageKey: string, { metadata }: KubernetesObject): ObjectKey {
  return `${storageKey}\n${metadata.namespace ?? ''}\n${metadata.name}`;
}

export function splitKey(key: ObjectKey): { storageKey: string; namespace: string | undefined; name: string } {
  const [storageKey, namespace, name] = key.split('\n');
  return { storageKey: storageKey!, namespace: namespace || undefined, name: name! };
}

/** Who depends on whom, by the uid of the owner. Only objects with owners are in it, so that it stays small. */
export class OwnerGraph {
  readonly #dependents = new Map<string, Set<ObjectKey>>();
  readonly #owners = new Map<ObjectKey, readonly string[]>();

  /** The object as it is now. */
  put(key: ObjectKey, object: KubernetesObject): void {
    const owners = (object.metadata.ownerReferences ?? []).map(({ uid }) => uid);
    const before = this.#owners.get(key) ?? [];
    for (const uid of before) if (!owners.includes(uid)) this.#unlink(uid, key);
    for (const uid of owners) {
      const known = this.#dependents.get(uid);
      if (known) known.add(key);
      else this.#dependents.set(uid, new Set([key]));
    }
    if (owners.length > 0) this.#owners.set(key, owners);
    else this.#owners.delete(key);
  }

  /** The object is gone. */
  remove(key: ObjectKey): void {
    for (const uid of this.#owners.get(key) ?? []) this.#unlink(uid, key);
    this.#owners.delete(key);
  }

  dependentsOf(uid: string | undefined): readonly ObjectKey[] {
    return uid === undefined ? [] : [...(this.#dependents.get(uid) ?? [])];
  }

  /** All objects that have owners. */
  dependents(): Iterable<ObjectKey> {
    return this.#owners.keys();
  }

  #unlink(uid: string, key: ObjectKey): void {
    const dependents = this.#dependents.get(uid);
    dependents?.delete(key);
    if (dependents?.size === 0) this.#dependents.delete(uid);
  }
}
