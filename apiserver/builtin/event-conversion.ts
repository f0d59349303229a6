import type { KubernetesObject, ObjectMeta } from '../resources/definition.ts';

interface ObjectReference {
  apiVersion?: string;
  kind?: string;
  namespace?: string;
  name?: string;
  uid?: string;
  fieldPath?: string;
}

interface CommonEvent {
  metadata: ObjectMeta;
  reason?: string;
  type?: string;
  action?: string;
  eventTime?: string | null;
  reportingInstance?: string;
  related?: ObjectReference;
  series?: { count?: number; lastObservedTime?: string };
}

/** core/v1 Event. */
export interface CoreEvent extends CommonEvent {
  involvedObject?: ObjectReference;
  message?: string;
  source?: { component?: string; host?: string };
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  count?: number;
  reportingComponent?: string;
}

/** events.k8s.io/v1 Event. */
export interface NewEvent extends CommonEvent {
  regarding?: ObjectReference;
  note?: string;
  deprecatedSource?: { component?: string; host?: string };
  deprecatedFirstTimestamp?: string | null;
  deprecatedLastTimestamp?: string | null;
  deprecatedCount?: number;
  reportingController?: string;
}

/** Field names of core/v1 and of events.k8s.io/v1; all other fields have one name. */
const renamed: readonly [core: string, renamed: string][] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

const toNew = new Map(renamed);
const toCore = new Map(renamed.map(([core, newer]) => [newer, core]));

export function toCoreEvent(event: KubernetesObject): KubernetesObject {
  return event.apiVersion === 'v1' ? event : rename(event, toCore, 'v1');
}

export function toNewEvent(event: KubernetesObject): KubernetesObject {
  return event.apiVersion === 'v1' ? rename(event, toNew, 'events.k8s.io/v1') : event;
}

function rename(event: KubernetesObject, names: ReadonlyMap<string, string>, apiVersion: string): KubernetesObject {
  const out: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(event)) out[names.get(field) ?? field] = value;
  return { ...out, apiVersion } as KubernetesObject;
}
