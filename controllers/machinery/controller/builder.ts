import type { ApiObject, ObjectKey, Resource } from '../client/client.ts';
import type { Informer } from '../store/informer.ts';
import type { Change } from '../store/object-store.ts';
import type { Controller, ControllerOptions } from './controller.ts';
import type { Reconciler } from './reconciler.ts';

/** Which documents of the controller's kind a change of another kind concerns. */
export type Mapping<T extends ApiObject> = (object: T, change: Change<T>) => Iterable<ObjectKey>;

/** Whether a change is worth a reconcile. */
export type Predicate<T extends ApiObject> = (change: Change<T>) => boolean;

/** What the builder needs of the manager. */
export interface BuilderHost {
  informer<T extends ApiObject>(resource: Resource<T>): Informer<T>;
  addController(
    name: string,
    resource: Resource<ApiObject>,
    reconciler: Reconciler,
    options: ControllerOptions,
  ): Controller;
}

/** A controller as a sentence: `manager.controller('task').for(Task).watches(Agent, mapAgentToTasks).with(reconciler)`. */
export class ControllerBuilder {
  readonly #host: BuilderHost;
  readonly #name: string;
  #primary: Resource<ApiObject> | undefined;
  readonly #sources: ((enqueue: (key: ObjectKey) => void) => void)[] = [];

  constructor(host: BuilderHost, name: string) {
    this.#host = host;
    this.#name = name;
  }

  /** The one kind whose documents are reconciled. */
  for<T extends ApiObject>(resource: Resource<T>, predicate?: Predicate<T>): this {
    this.#primary = resource;
    return this.#source(resource, predicate, ({ key }) => [key]);
  }

  /** A kind that this controller creates: a change concerns the document named by its controller ownerReference. */
  owns<T extends ApiObject>(resource: Resource<T>, predicate?: Predicate<T>): this {
    return this.#source(resource, predicate, (change) => this.#ownerOf(change));
  }

  /** Any other kind. The mapping is asked for the old and for the new object. */
  watches<T extends ApiObject>(resource: Resource<T>, mapping: Mapping<T>, predicate?: Predicate<T>): this {
    return this.#source(resource, predicate, (change) => [
      ...(change.old ? mapping(change.old, change) : []),
      ...(change.new ? mapping(change.new, change) : []),
    ]);
  }

  /** Ends the sentence; the controller starts with the manager. */
  with(reconciler: Reconciler, options: ControllerOptions = {}): Controller {
    if (!this.#primary) throw new Error(`controller ${this.#name}: say .for(Kind) before .with(reconciler)`);
    const controller = this.#host.addController(this.#name, this.#primary, reconciler, options);
    for (const connect of this.#sources) connect((key) => controller.enqueue(key));
    return controller;
  }

  #source<T extends ApiObject>(
    resource: Resource<T>,
    predicate: Predicate<T> | undefined,
    keys: (change: Change<T>) => Iterable<ObjectKey>,
  ): this {
    const informer = this.#host.informer(resource);
    this.#sources.push((enqueue) => {
      informer.onChange((change) => {
        if (predicate && !predicate(change)) return;
        for (const key of keys(change)) enqueue(key);
      });
    });
    return this;
  }

  #ownerOf(change: Change<ApiObject>): ObjectKey[] {
    const primary = this.#primary!;
    const keys: ObjectKey[] = [];
    for (const object of [change.old, change.new]) {
      const owner = object?.metadata?.ownerReferences?.find((reference) => reference.controller);
      if (!owner || owner.kind !== primary.kind || owner.apiVersion.split('/')[0] !== primary.group) continue;
      keys.push(
        primary.namespaced ? { namespace: object!.metadata!.namespace!, name: owner.name } : { name: owner.name },
      );
    }
    return keys;
  }
}

/** Passes changes of the declaration (and new and deleted objects), not those of status. */
export function generationChanged(change: Change<ApiObject>): boolean {
  if (!change.old || !change.new) return true;
  const [before, after] = [change.old.metadata, change.new.metadata];
  return before?.generation !== after?.generation || before?.deletionTimestamp !== after?.deletionTimestamp;
}
