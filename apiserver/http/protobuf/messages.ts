/**
 * The protobuf form of the built-in kinds: field numbers and types, from the published Kubernetes API (k8s.io/api and apimachinery, generated.proto).
 *
 * Types: string, int, bool, bytes (base64 in JSON), json (bytes that are JSON), time, microTime, `map<string>`, `map<bytes>`, or a message's name;
 * `[]` after it for repeated ones. Go writes fields that are not pointers even when they are zero: those mean "absent" and are dropped. A `?` marks
 * pointers, whose zero is a value.
 */
export type MessageFields = Readonly<Record<number, readonly [name: string, type: string]>>;

const metadata = ['metadata', 'ObjectMeta'] as const;

export const messages: Readonly<Record<string, MessageFields>> = {
  Unknown: {
    1: ['typeMeta', 'TypeMeta'],
    2: ['raw', 'bytes'],
    3: ['contentEncoding', 'string'],
    4: ['contentType', 'string'],
  },
  TypeMeta: { 1: ['apiVersion', 'string'], 2: ['kind', 'string'] },
  ObjectMeta: {
    1: ['name', 'string'],
    2: ['generateName', 'string'],
    3: ['namespace', 'string'],
    4: ['selfLink', 'string'],
    5: ['uid', 'string'],
    6: ['resourceVersion', 'string'],
    7: ['generation', 'int'],
    8: ['creationTimestamp', 'time'],
    9: ['deletionTimestamp', 'time'],
    10: ['deletionGracePeriodSeconds', 'int?'],
    11: ['labels', 'map<string>'],
    12: ['annotations', 'map<string>'],
    13: ['ownerReferences', 'OwnerReference[]'],
    14: ['finalizers', 'string[]'],
    17: ['managedFields', 'ManagedFieldsEntry[]'],
  },
  OwnerReference: {
    1: ['kind', 'string'],
    3: ['name', 'string'],
    4: ['uid', 'string'],
    5: ['apiVersion', 'string'],
    6: ['controller', 'bool?'],
    7: ['blockOwnerDeletion', 'bool?'],
  },
  ManagedFieldsEntry: {
    1: ['manager', 'string'],
    2: ['operation', 'string'],
    3: ['apiVersion', 'string'],
    4: ['time', 'time'],
    6: ['fieldsType', 'string'],
    7: ['fieldsV1', 'FieldsV1'],
    8: ['subresource', 'string'],
  },
  DeleteOptions: {
    1: ['gracePeriodSeconds', 'int?'],
    2: ['preconditions', 'Preconditions'],
    3: ['orphanDependents', 'bool?'],
    4: ['propagationPolicy', 'string'],
    5: ['dryRun', 'string[]'],
  },
  Preconditions: { 1: ['uid', 'string'], 2: ['resourceVersion', 'string'] },

  Namespace: { 1: metadata, 2: ['spec', 'NamespaceSpec'], 3: ['status', 'NamespaceStatus'] },
  NamespaceSpec: { 1: ['finalizers', 'string[]'] },
  NamespaceStatus: { 1: ['phase', 'string'], 2: ['conditions', 'NamespaceCondition[]'] },
  NamespaceCondition: {
    1: ['type', 'string'],
    2: ['status', 'string'],
    4: ['lastTransitionTime', 'time'],
    5: ['reason', 'string'],
    6: ['message', 'string'],
  },
  ConfigMap: { 1: metadata, 2: ['data', 'map<string>'], 3: ['binaryData', 'map<bytes>'], 4: ['immutable', 'bool?'] },
  Secret: {
    1: metadata,
    2: ['data', 'map<bytes>'],
    3: ['type', 'string'],
    4: ['stringData', 'map<string>'],
    5: ['immutable', 'bool?'],
  },
  ServiceAccount: {
    1: metadata,
    2: ['secrets', 'ObjectReference[]'],
    3: ['imagePullSecrets', 'LocalObjectReference[]'],
    4: ['automountServiceAccountToken', 'bool?'],
  },
  ObjectReference: {
    1: ['kind', 'string'],
    2: ['namespace', 'string'],
    3: ['name', 'string'],
    4: ['uid', 'string'],
    5: ['apiVersion', 'string'],
    6: ['resourceVersion', 'string'],
    7: ['fieldPath', 'string'],
  },
  LocalObjectReference: { 1: ['name', 'string'] },
  CoreEvent: {
    1: metadata,
    2: ['involvedObject', 'ObjectReference'],
    3: ['reason', 'string'],
    4: ['message', 'string'],
    5: ['source', 'EventSource'],
    6: ['firstTimestamp', 'time'],
    7: ['lastTimestamp', 'time'],
    8: ['count', 'int'],
    9: ['type', 'string'],
    10: ['eventTime', 'microTime'],
    11: ['series', 'EventSeries'],
    12: ['action', 'string'],
    13: ['related', 'ObjectReference'],
    14: ['reportingComponent', 'string'],
    15: ['reportingInstance', 'string'],
  },
  EventSource: { 1: ['component', 'string'], 2: ['host', 'string'] },
  EventSeries: { 1: ['count', 'int'], 2: ['lastObservedTime', 'microTime'] },
  Event: {
    1: metadata,
    2: ['eventTime', 'microTime'],
    3: ['series', 'EventSeries'],
    4: ['reportingController', 'string'],
    5: ['reportingInstance', 'string'],
    6: ['action', 'string'],
    7: ['reason', 'string'],
    8: ['regarding', 'ObjectReference'],
    9: ['related', 'ObjectReference'],
    10: ['note', 'string'],
    11: ['type', 'string'],
    12: ['deprecatedSource', 'EventSource'],
    13: ['deprecatedFirstTimestamp', 'time'],
    14: ['deprecatedLastTimestamp', 'time'],
    15: ['deprecatedCount', 'int'],
  },
  Lease: { 1: metadata, 2: ['spec', 'LeaseSpec'] },
  LeaseSpec: {
    1: ['holderIdentity', 'string?'],
    2: ['leaseDurationSeconds', 'int?'],
    3: ['acquireTime', 'microTime'],
    4: ['renewTime', 'microTime'],
    5: ['leaseTransitions', 'int?'],
    6: ['strategy', 'string'],
    7: ['preferredHolder', 'string'],
  },
  TokenReview: { 1: metadata, 2: ['spec', 'TokenReviewSpec'] },
  TokenReviewSpec: { 1: ['token', 'string'], 2: ['audiences', 'string[]'] },
  SelfSubjectReview: { 1: metadata },
  SelfSubjectAccessReview: { 1: metadata, 2: ['spec', 'SubjectAccessReviewSpec'] },
  SubjectAccessReview: { 1: metadata, 2: ['spec', 'SubjectAccessReviewSpec'] },
  LocalSubjectAccessReview: { 1: metadata, 2: ['spec', 'SubjectAccessReviewSpec'] },
  SubjectAccessReviewSpec: {
    1: ['resourceAttributes', 'ResourceAttributes'],
    2: ['nonResourceAttributes', 'NonResourceAttributes'],
    3: ['user', 'string'],
    4: ['groups', 'string[]'],
    6: ['uid', 'string'],
  },
  ResourceAttributes: {
    1: ['namespace', 'string'],
    2: ['verb', 'string'],
    3: ['group', 'string'],
    4: ['version', 'string'],
    5: ['resource', 'string'],
    6: ['subresource', 'string'],
    7: ['name', 'string'],
  },
  NonResourceAttributes: { 1: ['path', 'string'], 2: ['verb', 'string'] },
  SelfSubjectRulesReview: { 1: metadata, 2: ['spec', 'SelfSubjectRulesReviewSpec'] },
  SelfSubjectRulesReviewSpec: { 1: ['namespace', 'string'] },
};

/** The message of a kind; undefined for kinds that have no protobuf form here. */
export function messageOf(apiVersion: string, kind: string): string | undefined {
  if (kind === 'DeleteOptions') return kind;
  if (kind === 'Event') return apiVersion === 'v1' ? 'CoreEvent' : apiVersion === 'events.k8s.io/v1' ? kind : undefined;
  return kindVersions[kind] === apiVersion ? kind : undefined;
}

const kindVersions: Readonly<Record<string, string>> = {
  Namespace: 'v1',
  ConfigMap: 'v1',
  Secret: 'v1',
  ServiceAccount: 'v1',
  Lease: 'coordination.k8s.io/v1',
  TokenReview: 'authentication.k8s.io/v1',
  SelfSubjectReview: 'authentication.k8s.io/v1',
  SelfSubjectAccessReview: 'authorization.k8s.io/v1',
  SubjectAccessReview: 'authorization.k8s.io/v1',
  LocalSubjectAccessReview: 'authorization.k8s.io/v1',
  SelfSubjectRulesReview: 'authorization.k8s.io/v1',
};
