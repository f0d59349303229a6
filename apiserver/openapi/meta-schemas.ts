import { boolean, integer, list, listMap, object, string, stringMap, time } from '../builtin/schema-builder.ts';
import type { OpenApiSchema } from '../resources/definition.ts';

export const objectMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
export const listMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';
export const deleteOptionsName = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';
export const scaleName = 'io.k8s.api.autoscaling.v1.Scale';

const int64 = (description: string): OpenApiSchema => integer(description, { format: 'int64' });

const ownerReference = object(
  {
    apiVersion: string('The API version of the owner.'),
    kind: string('The kind of the owner.'),
    name: string('The name of the owner.'),
    uid: string('The uid of the owner.'),
    controller: boolean('Whether the owner is the managing controller; true for at most one.'),
    blockOwnerDeletion: boolean('Whether a foreground deletion of the owner waits for this object.'),
  },
  'An object without which this one is not needed.',
  { required: ['apiVersion', 'kind', 'name', 'uid'], 'x-kubernetes-map-type': 'atomic' },
);

const managedFieldsEntry = object(
  {
    manager: string('Who wrote the fields.'),
    operation: string('Apply or Update.'),
    apiVersion: string('The version in which the fields were written.'),
    time: time('When they were last written.'),
    fieldsType: string('FieldsV1.'),
    fieldsV1: { type: 'object', description: 'The set of fields, as a tree of their names.' },
    subresource: string('The subresource by which they were written.'),
  },
  'The fields that one manager wrote.',
);

/** What all documents share. The names are those of Kubernetes, as some clients look for them. */
export const metaSchemas: Record<string, OpenApiSchema> = {
  [objectMetaName]: object(
    {
      name: string('The name, unique for the kind within the namespace. Cannot be updated.'),
      generateName: string('A prefix: the server makes a unique name from it when name is empty.'),
      namespace: string('The namespace the object lies in. Cannot be updated.'),
      uid: string('Unique over time and space. Set by the server.'),
      resourceVersion: string(
        'Changes with every write; an update that names it fails if the object has changed since. Set by the server.',
      ),
      generation: int64('Counts changes of what should be. Set by the server.'),
      creationTimestamp: time('When the object was created. Set by the server.'),
      deletionTimestamp: time(
        'When the deletion was requested. The object goes when its finalizers are gone. Set by the server.',
      ),
      deletionGracePeriodSeconds: int64(
        'Seconds between the request of the deletion and deletionTimestamp. Set by the server.',
      ),
      labels: stringMap('Keys and values by which objects are selected.'),
      annotations: stringMap('Keys and values for tools; not selectable.'),
      finalizers: list({ type: 'string' }, 'Who must act before the object goes; each removes its own entry.', {
        'x-kubernetes-list-type': 'set',
        'x-kubernetes-patch-strategy': 'merge',
      }),
      ownerReferences: listMap(
        ['uid'],
        { $ref: ref('io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference') },
        'Objects without which this one is not needed. When all are gone, it is deleted.',
      ),
      managedFields: list(
        { $ref: ref('io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry') },
        'Who wrote which fields, for server-side apply.',
        { 'x-kubernetes-list-type': 'atomic' },
      ),
      selfLink: string('No longer set.'),
    },
    'What every object has: its name, labels, owners and life.',
  ),
  'io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference': ownerReference,
  'io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry': managedFieldsEntry,
  [listMetaName]: object(
    {
      resourceVersion: string('The version of the list; a watch can go on from it.'),
      continue: string('A token for the next page; empty for the last.'),
      remainingItemCount: int64('How many more items there are, if known.'),
      selfLink: string('No longer set.'),
    },
    'What every list has.',
  ),
  [deleteOptionsName]: object(
    {
      apiVersion: string('The API version of these options.'),
      kind: string('DeleteOptions.'),
      propagationPolicy: string('Foreground, Background or Orphan: what happens to dependents, and when.'),
      gracePeriodSeconds: int64('Accepted, without meaning for the kinds of this server.'),
      orphanDependents: boolean('Older form of propagationPolicy: Orphan.'),
      dryRun: list({ type: 'string' }, '`All`: check everything, delete nothing.'),
      preconditions: object(
        { uid: string('The uid the object must have.'), resourceVersion: string('The version the object must have.') },
        'What must hold for the deletion to happen.',
      ),
    },
    'The body of a deletion.',
    { 'x-kubernetes-group-version-kind': [{ group: '', kind: 'DeleteOptions', version: 'v1' }] },
  ),
  [scaleName]: object(
    {
      apiVersion: string('autoscaling/v1'),
      kind: string('Scale'),
      metadata: { allOf: [{ $ref: ref(objectMetaName) }], description: "The object's metadata." },
      spec: object({ replicas: integer('How many there should be.') }, 'What should be.'),
      status: object(
        { replicas: integer('How many there are.'), selector: string('Selects them, as text.') },
        'What is.',
        { required: ['replicas'] },
      ),
    },
    'The number of replicas, apart from all else of an object.',
    { 'x-kubernetes-group-version-kind': [{ group: 'autoscaling', kind: 'Scale', version: 'v1' }] },
  ),
};

export function ref(name: string): string {
  return `#/components/schemas/${name}`;
}
