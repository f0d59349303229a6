import type {
  Agent as AgentDocument,
  Framework as FrameworkDocument,
  FrameworkRole as RoleDocument,
  Task as TaskDocument,
  Volume as VolumeDocument,
} from '../../../crds/types.generated.ts';
import type { ApiObject, Resource } from './client.ts';

/** The kinds that Tepui's programs use, as constants to hand to the client: `client.get(Task, {namespace, name})`. */
export const Framework: Resource<FrameworkDocument> = tepui('frameworks', 'Framework', true);
export const Task: Resource<TaskDocument> = tepui('tasks', 'Task', true);
export const Volume: Resource<VolumeDocument> = tepui('volumes', 'Volume', true);
export const Agent: Resource<AgentDocument> = tepui('agents', 'Agent', false);
export const FrameworkRole: Resource<RoleDocument> = tepui('frameworkroles', 'FrameworkRole', false);

export const Namespace: Resource<NamespaceDocument> = define('', 'v1', 'namespaces', 'Namespace', false);
export const ConfigMap: Resource<ConfigMapDocument> = define('', 'v1', 'configmaps', 'ConfigMap', true);
export const Secret: Resource<SecretDocument> = define('', 'v1', 'secrets', 'Secret', true);
export const ServiceAccount: Resource<ApiObject> = define('', 'v1', 'serviceaccounts', 'ServiceAccount', true);
export const Event: Resource<EventDocument> = define('events.k8s.io', 'v1', 'events', 'Event', true);
export const CoreEvent: Resource<CoreEventDocument> = define('', 'v1', 'events', 'Event', true);
export const Lease: Resource<LeaseDocument> = define('coordination.k8s.io', 'v1', 'leases', 'Lease', true);
export const CustomResourceDefinition: Resource<CustomResourceDefinitionDocument> = define(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  false,
);

export type Framework = FrameworkDocument;
export type Task = TaskDocument;
export type Volume = VolumeDocument;
export type Agent = AgentDocument;
export type FrameworkRole = RoleDocument;
export type Lease = LeaseDocument;

export interface NamespaceDocument extends ApiObject {
  status?: { phase?: string };
}

export interface ConfigMapDocument extends ApiObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

export interface SecretDocument extends ApiObject {
  type?: string;
  /** Base64. */
  data?: Record<string, string>;
}

export interface LeaseDocument extends ApiObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    /** RFC 3339 with microseconds, as all times of leases. */
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export interface ObjectReference {
  apiVersion?: string;
  kind?: string;
  namespace?: string;
  name?: string;
  uid?: string;
  resourceVersion?: string;
}

/** events.k8s.io/v1 */
export interface EventDocument extends ApiObject {
  eventTime?: string;
  type?: string;
  reason?: string;
  action?: string;
  note?: string;
  regarding?: ObjectReference;
  related?: ObjectReference;
  reportingController?: string;
  reportingInstance?: string;
  series?: { count: number; lastObservedTime: string };
}

/** v1 */
export interface CoreEventDocument extends ApiObject {
  involvedObject: ObjectReference;
  reason?: string;
  message?: string;
  type?: string;
  count?: number;
  firstTimestamp?: string;
  lastTimestamp?: string;
  eventTime?: string;
  source?: { component?: string; host?: string };
  reportingComponent?: string;
  reportingInstance?: string;
  action?: string;
}

export interface CustomResourceDefinitionDocument extends ApiObject {
  spec?: { group: string; scope: string; names: { plural: string; kind: string }; versions: { name: string }[] };
  status?: { conditions?: { type: string; status: string; reason?: string; message?: string }[] };
}

/** A constant for a kind that is not listed here, for example one of the user's own. */
export function define<T extends ApiObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced: boolean,
): Resource<T> {
  return { group, version, plural, kind, namespaced };
}

function tepui<T extends ApiObject>(plural: string, kind: string, namespaced: boolean): Resource<T> {
  return define('tepui.dev', 'v1alpha1', plural, kind, namespaced);
}
