import type { KubernetesObject } from '../resources/definition.ts';

/** Names the place of one object in the store. */
export interface EntryKey {
  /** `<group>/<plural>` or the key of a StorageView. */
  storage: string;
  /** Empty for cluster-scoped objects. */
  namespace: string;
  name: string;
}

/**
 * One stored version of one object: encoded once, shared by every reader and watcher, never changed.
 * A deletion is an entry too: its object is the last state with the revision of the deletion.
 */
export class Entry implements EntryKey {
  readonly storage: string;
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
  readonly deleted: boolean;
  /** Wall clock of the write, for compaction by age. */
  readonly timeMs: number;
  /** The version before this one, as long as the history reaches back to it. Undefined for a creation. */
  previous: Entry | undefined;
  readonly #encoded: Buffer;
  #object: KubernetesObject | undefined;

  constructor(
    key: EntryKey,
    version: {
      revision: number;
      deleted: boolean;
      timeMs: number;
      encoded: Buffer;
      object?: KubernetesObject;
      previous?: Entry;
    },
  ) {
    this.storage = key.storage;
    this.namespace = key.namespace;
    this.name = key.name;
    this.revision = version.revision;
    this.deleted = version.deleted;
    this.timeMs = version.timeMs;
    this.#encoded = version.encoded;
    this.#object = version.object;
    this.previous = version.previous;
  }

  /** The object as JSON. */
  get json(): Buffer {
    return this.#encoded;
  }

  /** The object, deeply frozen; parsed at first use after a restart. */
  get object(): KubernetesObject {
    if (this.#object === undefined) this.#object = deepFreeze(JSON.parse(this.#encoded.toString()) as KubernetesObject);
    return this.#object;
  }

  /** Gives up the parsed form of a version that is history now; who still asks for it pays for parsing. */
  forgetObject(): void {
    this.#object = undefined;
  }

  get type(): 'ADDED' | 'MODIFIED' | 'DELETED' {
    if (this.deleted) return 'DELETED';
    return this.previous === undefined || this.previous.deleted ? 'ADDED' : 'MODIFIED';
  }
}

/** `namespace/name`; sorts like the lists of the API, because `/` is lower than every character of a name but `-` and `.`. */
export function objectPath(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** Own memory, not a slice of Node's shared pool: entries live long and would hold whole pool pages. */
export function encode(text: string): Buffer {
  const encoded = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  encoded.write(text);
  return encoded;
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const field of Object.values(value)) deepFreeze(field);
  }
  return value;
}
