import type { CustomResourceDefinition } from '../builtin/crd/types.ts';
import { builtinDefinitions } from '../builtin/definitions.ts';
import type { ResourceDefinition, ResourceRegistry } from '../resources/definition.ts';
import { customResourceDefinitions } from '../schema/custom-resource.ts';
import { type AcceptedNames, acceptNames } from './names.ts';

export { crdStatus } from './status.ts';

/** A registry to which CRDs are added and from which they are removed while the server runs. */
export interface MutableResourceRegistry extends ResourceRegistry {
  /** Serves what a CRD defines, as far as its names are free. Call it again after every change of the CRD. */
  applyCrd(crd: CustomResourceDefinition): void;
  /** Ends serving a CRD's resources; the objects are the caller's business. */
  removeCrd(name: string): void;
  /** All CRDs that were applied, by name. */
  crds(): ReadonlyMap<string, CustomResourceDefinition>;
  /** Which names a CRD has or would get beside the others, with the conflicts. */
  namesFor(crd: CustomResourceDefinition): AcceptedNames;
}

/** Built-in kinds, and `further` ones that need other parts of the server (reviews), from the start; CRDs as they come. */
export function createRegistry(further: readonly ResourceDefinition[] = []): MutableResourceRegistry {
  return new Registry([...builtinDefinitions, ...further]);
}

class Registry implements MutableResourceRegistry {
  readonly #builtin: readonly ResourceDefinition[];
  readonly #crds = new Map<string, CustomResourceDefinition>();
  readonly #built = new Map<string, { identity: string; definitions: ResourceDefinition[] }>();
  readonly #listeners = new Set<() => void>();
  #byPath = new Map<string, ResourceDefinition>();
  #list: ResourceDefinition[] = [];

  constructor(builtin: readonly ResourceDefinition[]) {
    this.#builtin = builtin;
    this.#rebuild();
  }

  find(group: string, version: string, plural: string): ResourceDefinition | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`);
  }

  list(): ResourceDefinition[] {
    return this.#list;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  crds(): ReadonlyMap<string, CustomResourceDefinition> {
    return this.#crds;
  }

  applyCrd(crd: CustomResourceDefinition): void {
    const before = this.#crds.get(crd.metadata.name);
    this.#crds.set(crd.metadata.name, crd);
    // Status writes are frequent at the start and change nothing that is served.
    if (before && before.metadata.generation === crd.metadata.generation && before.metadata.uid === crd.metadata.uid)
      return;
    this.#rebuild();
    this.#notify();
  }

  removeCrd(name: string): void {
    if (!this.#crds.delete(name)) return;
    this.#built.delete(name);
    this.#rebuild();
    this.#notify();
  }

  namesFor(crd: CustomResourceDefinition): AcceptedNames {
    return acceptNames(crd, this.#crds);
  }

  #rebuild(): void {
    const custom = [...this.#crds.values()].flatMap((crd) => this.#definitionsOf(crd));
    this.#list = [...this.#builtin, ...custom];
    this.#byPath = new Map(this.#list.map((definition) => [pathOf(definition), definition]));
  }

  /** The same objects as before if the CRD has not changed: watches and compiled validators hang on them. */
  #definitionsOf(crd: CustomResourceDefinition): ResourceDefinition[] {
    const { conflicts, accepted } = this.namesFor(crd);
    const { name, uid, generation } = crd.metadata;
    const identity = JSON.stringify([uid, generation, accepted, conflicts]);
    const known = this.#built.get(name);
    if (known?.identity === identity) return known.definitions;
    const definitions =
      conflicts.length > 0
        ? []
        : customResourceDefinitions(crd, {
            singular: accepted.singular ?? crd.spec.names.kind.toLowerCase(),
            listKind: accepted.listKind ?? `${crd.spec.names.kind}List`,
            shortNames: accepted.shortNames ?? [],
            categories: accepted.categories ?? [],
          });
    this.#built.set(name, { identity, definitions });
    return definitions;
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function pathOf({ group, version, plural }: ResourceDefinition): string {
  return `${group}/${version}/${plural}`;
}
