/** The CRD documents as they are shipped. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type Schema } from './structural/schema.ts';

export interface CrdDocument {
  apiVersion: 'apiextensions.k8s.io/v1';
  kind: 'CustomResourceDefinition';
  metadata: { name: string; [field: string]: unknown };
  spec: {
    group: string;
    scope: 'Namespaced' | 'Cluster';
    names: {
      plural: string;
      singular: string;
      kind: string;
      listKind: string;
      shortNames: string[];
      categories: string[];
    };
    versions: CrdVersion[];
  };
}

export interface CrdVersion {
  name: string;
  served: boolean;
  storage: boolean;
  schema: { openAPIV3Schema: Schema };
  [field: string]: unknown;
}

/**
 * All five. Parsed once; callers must not change them. Read from JSON that is generated beside the YAML: parsing half a megabyte of YAML
 * takes a quarter of a second and 60 MiB.
 */
export function loadCrds(): readonly CrdDocument[] {
  loaded ??= JSON.parse(readFileSync(join(import.meta.dirname, 'crds.generated.json'), 'utf8')) as CrdDocument[];
  return loaded;
}

/** The schema of one of our kinds, or undefined. */
export function schemaOfKind(kind: string): Schema | undefined {
  return loadCrds().find((crd) => crd.spec.names.kind === kind)?.spec.versions[0]?.schema.openAPIV3Schema;
}

/**
 * A copy without what Kubernetes before 1.25 does not know (rules, selectable fields). Such a server drops these on its own; this is for
 * `kubectl apply` with validation, and for showing what is left.
 */
export function withoutNewerFields(crd: CrdDocument): CrdDocument {
  return strip(crd) as CrdDocument;
}

let loaded: CrdDocument[] | undefined;

const NEWER = new Set(['x-kubernetes-validations', 'selectableFields']);

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !NEWER.has(key))
      .map(([key, inner]) => [key, strip(inner)]),
  );
}
