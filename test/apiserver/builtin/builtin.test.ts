import { describe, expect, test } from '@jest/globals';
import { builtinDefinitions } from '../../../apiserver/builtin/definitions.ts';
import type { FieldCause } from '../../../apiserver/http/errors.ts';
import type { FieldValidation, KubernetesObject, ResourceDefinition } from '../../../apiserver/resources/definition.ts';

const definition = (kind: string, group = ''): ResourceDefinition =>
  builtinDefinitions.find((found) => found.kind === kind && found.group === group)!;

function admit(
  of: ResourceDefinition,
  fields: object,
  existing?: KubernetesObject,
  fieldValidation: FieldValidation = 'Strict',
) {
  const apiVersion = of.group ? `${of.group}/${of.version}` : of.version;
  const object = {
    apiVersion,
    kind: of.kind,
    metadata: { name: 'a', namespace: 'default' },
    ...fields,
  } as KubernetesObject;
  return of.admit(object, { operation: existing ? 'update' : 'create', fieldValidation, ...(existing && { existing }) })
    .object;
}

function causes(of: ResourceDefinition, fields: object, existing?: KubernetesObject): string[] {
  try {
    admit(of, fields, existing);
  } catch (error) {
    const { details, message } = error as { details?: { causes?: FieldCause[] }; message: string };
    return details?.causes?.map((cause) => `${cause.field}: ${cause.message}`) ?? [message];
  }
  return [];
}

describe('a config map', () => {
  const configMap = definition('ConfigMap');

  test('has keys that can be file names, in one of its maps only', () => {
    expect(causes(configMap, { data: { 'a/b': '1', '..': '2', both: '3' }, binaryData: { both: 'YQ==' } })).toEqual([
      expect.stringContaining('data[a/b]: Invalid value: "a/b": a valid config key must consist of'),
      'data[..]: Invalid value: "..": must not be \'..\'',
      'data[both]: Invalid value: "both": duplicate of key present in binaryData',
    ]);
  });

  test('has text values, base64 for binary ones, and at most 1 MiB', () => {
    expect(causes(configMap, { data: { a: 1 } })[0]).toContain('must be of type string: "integer"');
    expect(causes(configMap, { binaryData: { a: '!!' } })[0]).toContain('binaryData');
    expect(causes(configMap, { data: { a: 'x'.repeat(1024 * 1024 + 1) } })[0]).toContain(
      'Too long: may not be more than 1048576 bytes',
    );
  });

  test('stays as it is once immutable', () => {
    const existing = admit(configMap, { data: { a: '1' }, immutable: true });
    expect(causes(configMap, { data: { a: '1' }, immutable: true }, existing)).toEqual([]);
    expect(causes(configMap, { data: { a: '2' } }, existing)).toEqual([
      'immutable: Forbidden: field is immutable when `immutable` is set',
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
  });

  test('refuses, tells or drops unknown fields as asked', () => {
    expect(causes(configMap, { bogus: 1 })).toEqual([
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "bogus"',
    ]);
    expect(admit(configMap, { bogus: 1 }, undefined, 'Warn')).not.toHaveProperty('bogus');
    expect(admit(configMap, { bogus: 1 }, undefined, 'Ignore')).not.toHaveProperty('bogus');
  });
});

describe('a secret', () => {
  const secret = definition('Secret');

  test('takes stringData into data', () => {
    const made = admit(secret, { data: { a: 'YQ==', b: 'YQ==' }, stringData: { b: 'text' } });
    expect(made.data).toEqual({ a: 'YQ==', b: 'dGV4dA==' });
    expect(made).not.toHaveProperty('stringData');
    expect(made.type).toBe('Opaque');
  });

  test('of a type has the keys of the type, and keeps the type', () => {
    expect(causes(secret, { type: 'kubernetes.io/tls' })).toEqual([
      'data[tls.crt]: Required value',
      'data[tls.key]: Required value',
    ]);
    const existing = admit(secret, {});
    expect(causes(secret, { type: 'other' }, existing)).toEqual(['type: Invalid value: "other": field is immutable']);
    expect(causes(secret, { data: { a: 'not base64' } })[0]).toContain('data');
  });
});

describe('a lease', () => {
  const lease = definition('Lease', 'coordination.k8s.io');

  test('keeps times with microseconds, which Go clients demand', () => {
    const made = admit(lease, {
      spec: { renewTime: '2026-01-02T03:04:05Z', acquireTime: '2026-01-02T05:04:05.1234567+02:00' },
    });
    expect(made.spec).toMatchObject({
      renewTime: '2026-01-02T03:04:05.000000Z',
      acquireTime: '2026-01-02T03:04:05.123456Z',
    });
  });

  test('has a positive duration and a real time', () => {
    expect(causes(lease, { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } })).toEqual([
      'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
      'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
    ]);
    expect(causes(lease, { spec: { renewTime: 'soon' } })[0]).toContain('spec.renewTime');
  });
});

describe('an event', () => {
  const core = definition('Event');
  const newer = definition('Event', 'events.k8s.io');

  test('is the same in both forms, there and back', () => {
    const stored = admit(core, {
      involvedObject: { kind: 'Task', name: 'web-0', namespace: 'default' },
      reason: 'Started',
      message: 'it runs',
      type: 'Normal',
      source: { component: 'agent' },
      firstTimestamp: '2026-01-02T03:04:05Z',
      count: 2,
      reportingComponent: 'tepui.dev/agent',
    });
    const seen = newer.storage!.fromStored(stored);
    expect(seen).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      regarding: { name: 'web-0' },
      note: 'it runs',
      deprecatedSource: { component: 'agent' },
      deprecatedFirstTimestamp: '2026-01-02T03:04:05Z',
      deprecatedCount: 2,
      reportingController: 'tepui.dev/agent',
    });
    expect(newer.storage!.toStored(seen)).toEqual(stored);
    expect(newer.storage!.key).toBe(core.storage!.key);
  });

  test('lies in the namespace of its object', () => {
    expect(causes(core, { involvedObject: { namespace: 'other' } })).toEqual([
      'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    ]);
    expect(causes(core, { involvedObject: { kind: 'Agent', name: 'n1' } })).toEqual([]);
  });

  test('of the newer form says who, when, what and why', () => {
    expect(causes(newer, { regarding: { namespace: 'default' } })).toEqual(['eventTime: Required value']);
    expect(
      causes(newer, { regarding: { namespace: 'default' }, eventTime: '2026-01-02T03:04:05.000000Z', type: 'Loud' }),
    ).toEqual([
      'reportingController: Required value',
      'reportingInstance: Required value',
      'action: Required value',
      'reason: Required value',
      'type: Invalid value: "Loud": has invalid value: Loud',
    ]);
  });
});

test('every built-in kind describes each of its fields', () => {
  const undescribed: string[] = [];
  const walk = (schema: Record<string, unknown>, path: string) => {
    for (const [name, property] of Object.entries(
      (schema.properties ?? {}) as Record<string, Record<string, unknown>>,
    )) {
      if (!property.description) undescribed.push(`${path}.${name}`);
      walk(property, `${path}.${name}`);
      if (property.items) walk(property.items as Record<string, unknown>, `${path}.${name}`);
    }
  };
  for (const { kind, schema } of builtinDefinitions) walk(schema, kind);
  expect(undescribed).toEqual([]);
});
