import { randomUUID } from 'node:crypto';
import { alreadyExists, badRequest } from '../http/errors.ts';
import { entryKey, onHeads, putObject, type ResourceContext, type Written } from './context.ts';
import type { KubernetesObject, ResourceDefinition } from './definition.ts';
import { cleanMetadata, validateMetadata } from './metadata.ts';
import { generateName } from './names.ts';
import { isNamespaceDefinition, namespaceKeys, prepareNamespace, requireNamespace } from './namespaces.ts';
import { checkObject } from './object-shape.ts';
import { checkReplicas } from './replicas.ts';
import type { WriteOptions } from './storage.ts';

/** A generated name that is taken is replaced; with five random characters this hardly ever happens twice. */
const nameAttempts = 8;

/** Creates an object in `namespace` (absent for cluster-scoped kinds). */
export async function createObject(
  context: ResourceContext,
  definition: ResourceDefinition,
  namespace: string | undefined,
  body: unknown,
  options: WriteOptions = {},
): Promise<Written> {
  const given = checkObject(definition, namespace, body);
  const ref = { name: given.metadata.name, ...(namespace !== undefined && { namespace }) };
  const keys = [entryKey(definition, ref), ...namespaceKeys(context, definition, namespace)];
  return onHeads(context, keys, () => createChecked(context, definition, namespace, given, options));
}

async function createChecked(
  context: ResourceContext,
  definition: ResourceDefinition,
  namespace: string | undefined,
  given: KubernetesObject,
  options: WriteOptions,
): Promise<Written> {
  if (given.metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  const fieldValidation = options.fieldValidation ?? 'Ignore';
  const { metadata: clean, warnings } = cleanMetadata(definition, given.metadata, fieldValidation);
  const metadata = withSystemFields(context, definition, clean, namespace);
  if (!metadata.name && typeof metadata.generateName === 'string' && metadata.generateName !== '') {
    metadata.name = freeName(context, definition, namespace, metadata.generateName);
  }
  validateMetadata(definition, metadata);
  const bare: KubernetesObject = { ...given, metadata };
  requireNamespace(context, definition, bare);
  if (definition.status) delete bare.status;
  const prepared = isNamespaceDefinition(definition) ? prepareNamespace(bare) : bare;
  if (context.store.head(entryKey(definition, metadata))) throw alreadyExists(definition, metadata.name);
  const admitted = definition.admit(prepared, { operation: 'create', fieldValidation });
  checkReplicas(definition, admitted.object);
  const entry = await putObject(context, definition, admitted.object, options.dryRun ?? false);
  return { entry, warnings: [...warnings, ...admitted.warnings] };
}

function withSystemFields(
  context: ResourceContext,
  definition: ResourceDefinition,
  given: KubernetesObject['metadata'],
  namespace: string | undefined,
): KubernetesObject['metadata'] {
  // What a client copies from another object is not this one's.
  const {
    deletionTimestamp: _,
    deletionGracePeriodSeconds: __,
    resourceVersion: ___,
    generation: ____,
    ...kept
  } = given;
  return {
    ...kept,
    ...(namespace !== undefined && { namespace }),
    uid: randomUUID(),
    creationTimestamp: apiTime(context.now()),
    ...(definition.generation && { generation: 1 }),
  };
}

/** The API's times have no fraction of a second. */
export function apiTime(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

function freeName(
  context: ResourceContext,
  definition: ResourceDefinition,
  namespace: string | undefined,
  prefix: string,
): string {
  let name = generateName(prefix);
  for (let attempt = 1; attempt < nameAttempts; attempt++) {
    if (!context.store.head(entryKey(definition, { ...(namespace !== undefined && { namespace }), name }))) break;
    name = generateName(prefix);
  }
  return name;
}
