import { type Entry, objectPath } from './entry.ts';

/** The committed objects of one storage key: by path for reads, in path order for lists. */
export class Collection {
  readonly #entries = new Map<string, Entry>();
  /** Sorted; undefined while many entries are added at start. */
  #paths: string[] | undefined;

  get size(): number {
    return this.#entries.size;
  }

  get(namespace: string, name: string): Entry | undefined {
    return this.#entries.get(objectPath(namespace, name));
  }

  /** The paths in order, of one namespace or of all. */
  paths(namespace?: string): string[] {
    const paths = this.#sorted();
    // '0' is the character after '/'.
    return namespace ? paths.slice(lowerBound(paths, `${namespace}/`), lowerBound(paths, `${namespace}0`)) : paths;
  }

  at(path: string): Entry | undefined {
    return this.#entries.get(path);
  }

  *values(namespace?: string): Generator<Entry> {
    for (const path of this.paths(namespace)) yield this.#entries.get(path)!;
  }

  /** Takes a committed version in. `bulk` leaves the order for later: sorting once is cheaper than inserting each. */
  apply(entry: Entry, bulk = false): void {
    const path = objectPath(entry.namespace, entry.name);
    if (bulk) this.#paths = undefined;
    if (entry.deleted) {
      if (this.#entries.delete(path) && this.#paths) this.#paths.splice(lowerBound(this.#paths, path), 1);
      return;
    }
    const isNew = !this.#entries.has(path);
    this.#entries.set(path, entry);
    if (isNew && this.#paths) this.#paths.splice(lowerBound(this.#paths, path), 0, path);
  }

  #sorted(): string[] {
    this.#paths ??= [...this.#entries.keys()].sort();
    return this.#paths;
  }
}

/** The first index whose path is not lower than the given one. */
export function lowerBound(paths: readonly string[], path: string): number {
  let low = 0;
  let high = paths.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (paths[middle]! < path) low = middle + 1;
    else high = middle;
  }
  return low;
}
