import type { FieldCause } from '../http/errors.ts';
import type { KubernetesObject, PrinterColumn, ResourceDefinition } from '../resources/definition.ts';
import { ageOf } from '../table/human-duration.ts';
import { defineBuiltin } from './define.ts';
import { type CoreEvent, type NewEvent, toCoreEvent, toNewEvent } from './event-conversion.ts';
import { normaliseTimes } from './event-times.ts';
import { integer, kind, microTime, object, string, time } from './schema-builder.ts';

/** Events are notes, not state: they go an hour after their last write. */
export const eventTtlSeconds = 3600;

const reference = (description: string) =>
  object(
    {
      apiVersion: string('The API version of the object.'),
      kind: string('The kind of the object.'),
      namespace: string('The namespace of the object.'),
      name: string('The name of the object.'),
      uid: string('The uid of the object.'),
      resourceVersion: string('The version of the object.'),
      fieldPath: string('A part of the object, for example spec.containers{web}.'),
    },
    description,
  );

const source = object(
  { component: string('The program that reports.'), host: string('The machine that reports.') },
  'Who reports (older field; see the reporting controller).',
);

const series = object(
  { count: integer('How often it happened.'), lastObservedTime: microTime('When it last happened.') },
  'Set when the same thing happened repeatedly.',
);

const common = {
  reason: string('One CamelCase word for what happened.'),
  type: string('Normal or Warning.'),
  action: string('What was done or failed, one CamelCase word.'),
  eventTime: microTime('When it was first observed.'),
  reportingInstance: string('Which instance of the controller reports.'),
  related: reference('A second object that has to do with it.'),
  series,
};

/** core/v1 events: the stored form. */
export const coreEventDefinition: ResourceDefinition = defineBuiltin({
  group: '',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  shortNames: ['ev'],
  ttlSeconds: eventTtlSeconds,
  storage: { key: '/events', toStored: (event) => event, fromStored: (event) => event },
  selectableFields: [
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
      (field) => `.involvedObject.${field}`,
    ),
    ...['.reason', '.reportingComponent', '.type'],
  ],
  columns: eventColumns((object) => object as unknown as CoreEvent),
  schema: kind('A note that something happened to an object. Kept for one hour.', {
    ...common,
    involvedObject: reference('The object this is about.'),
    message: string('What happened, for humans.'),
    source,
    firstTimestamp: time('When it first happened (older field; see eventTime).'),
    lastTimestamp: time('When it last happened (older field; see series).'),
    count: integer('How often it happened (older field; see series).'),
    reportingComponent: string('The controller that reports, for example tepui.dev/scheduler.'),
  }),
  prepare: normaliseTimes,
  check: coreEventCauses,
});

/** events.k8s.io/v1: the same events under newer names. */
export const eventDefinition: ResourceDefinition = defineBuiltin({
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  shortNames: ['ev'],
  ttlSeconds: eventTtlSeconds,
  storage: { key: '/events', toStored: toCoreEvent, fromStored: toNewEvent },
  selectableFields: [
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
      (field) => `.regarding.${field}`,
    ),
    ...['.reason', '.reportingController', '.type'],
  ],
  columns: eventColumns((object) => toCoreEvent(object) as unknown as CoreEvent),
  schema: kind('A note that something happened to an object. Kept for one hour.', {
    ...common,
    regarding: reference('The object this is about.'),
    note: string('What happened, for humans.'),
    reportingController: string('The controller that reports, for example tepui.dev/scheduler.'),
    deprecatedSource: source,
    deprecatedFirstTimestamp: time('When it first happened, of older clients.'),
    deprecatedLastTimestamp: time('When it last happened, of older clients.'),
    deprecatedCount: integer('How often it happened, of older clients.'),
  }),
  prepare: normaliseTimes,
  check: (event, { operation }) => newEventCauses(event as unknown as NewEvent, operation === 'create'),
});

/** An event lies in the namespace of its object; events about cluster-scoped objects in `default`. */
function coreEventCauses(object: KubernetesObject): FieldCause[] {
  const { involvedObject, metadata } = object as unknown as CoreEvent;
  return namespaceCauses('involvedObject.namespace', involvedObject?.namespace, metadata.namespace);
}

function namespaceCauses(field: string, about: string | undefined, own: string | undefined): FieldCause[] {
  if (about ? own === about : own === undefined || own === 'default' || own === 'kube-system') return [];
  return [
    {
      reason: 'FieldValueInvalid',
      field,
      message: `Invalid value: ${JSON.stringify(about ?? '')}: does not match event.namespace`,
    },
  ];
}

function newEventCauses(event: NewEvent, created: boolean): FieldCause[] {
  const causes: FieldCause[] = [];
  // Events of older clients have no eventTime and only the core rules; they come here by updates.
  if (!event.eventTime) return created ? [required('eventTime')] : [];
  const demanded = ['reportingController', 'reportingInstance', 'action', 'reason'] as const;
  for (const field of demanded) if (!event[field]) causes.push(required(field));
  if (event.type !== 'Normal' && event.type !== 'Warning') {
    causes.push({
      reason: 'FieldValueInvalid',
      field: 'type',
      message: `Invalid value: ${JSON.stringify(event.type ?? '')}: has invalid value: ${event.type ?? ''}`,
    });
  }
  if (Buffer.byteLength(event.note ?? '') > 1024) {
    causes.push({
      reason: 'FieldValueInvalid',
      field: 'message',
      message: 'Invalid value: "": can have at most 1024 bytes',
    });
  }
  return [...causes, ...namespaceCauses('regarding.namespace', event.regarding?.namespace, event.metadata.namespace)];
}

function required(field: string): FieldCause {
  return { reason: 'FieldValueRequired', field, message: 'Required value' };
}

/** The same columns for both forms. NAME is the last one: nobody looks for an event by its name. */
function eventColumns(view: (object: KubernetesObject) => CoreEvent): PrinterColumn[] {
  const column = (
    name: string,
    description: string,
    cell: (event: CoreEvent) => unknown,
    priority = 0,
  ): PrinterColumn => ({
    name,
    type: 'string',
    ...(name === 'Name' && { format: 'name' }),
    description,
    priority,
    cell: (object) => cell(view(object)),
  });
  return [
    column('Last Seen', 'The time since it last happened.', (event) => ageOf(lastSeen(event))),
    column('Type', 'Normal or Warning.', (event) => event.type ?? ''),
    column('Reason', 'One word for what happened.', (event) => event.reason ?? ''),
    column('Object', 'The object it is about.', ({ involvedObject: about }) => {
      const kindName = (about?.kind ?? '').toLowerCase();
      return about?.name ? `${kindName}/${about.name}` : kindName;
    }),
    column('Subobject', 'The part of the object it is about.', (event) => event.involvedObject?.fieldPath ?? '', 1),
    column('Source', 'Who reports.', reporter, 1),
    column('Message', 'What happened.', (event) => (event.message ?? '').trim()),
    column(
      'First Seen',
      'The time since it first happened.',
      (event) => ageOf(event.firstTimestamp ?? event.eventTime),
      1,
    ),
    column('Count', 'How often it happened.', (event) => event.series?.count ?? (event.count || 1), 1),
    column('Name', 'The name of the event.', (event) => event.metadata.name, 1),
  ];
}

function lastSeen(event: CoreEvent): string | null | undefined {
  return event.series?.lastObservedTime ?? event.lastTimestamp ?? event.firstTimestamp ?? event.eventTime;
}

function reporter(event: CoreEvent): string {
  const component = event.source?.component || event.reportingComponent || '';
  const instance = event.source?.host || event.reportingInstance || '';
  return instance ? `${component}, ${instance}` : component;
}
