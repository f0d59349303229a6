import { describe, expect, test } from '@jest/globals';
import { configMapDefinition } from '../../../apiserver/builtin/config-map.ts';
import { coreEventDefinition } from '../../../apiserver/builtin/event.ts';
import type { KubernetesObject } from '../../../apiserver/resources/definition.ts';
import { crdColumns } from '../../../apiserver/table/crd-columns.ts';
import { ageOf, humanDuration } from '../../../apiserver/table/human-duration.ts';
import { toTable } from '../../../apiserver/table/table.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

describe('a duration for humans', () => {
  test.each([
    [-5 * second, '<invalid>'],
    [0, '0s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [5 * minute + 12 * second, '5m12s'],
    [10 * minute + 12 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour + 5 * minute, '3h5m'],
    [8 * hour + 5 * minute, '8h'],
    [47 * hour, '47h'],
    [3 * day + 4 * hour, '3d4h'],
    [8 * day + 4 * hour, '8d'],
    [729 * day, '729d'],
    [3 * 365 * day + 2 * day, '3y2d'],
    [9 * 365 * day, '9y'],
  ])('%d ms are %s', (milliseconds, text) => {
    expect(humanDuration(milliseconds)).toBe(text);
  });

  test('of a broken or absent time says so', () => {
    expect(ageOf('nonsense')).toBe('<invalid>');
    expect(ageOf(undefined)).toBe('<unknown>');
    expect(ageOf('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:07Z'))).toBe('7s');
  });
});

describe('columns of a CRD', () => {
  const cells = (type: string, value: unknown) => {
    const [column] = crdColumns([{ name: 'X', type, jsonPath: '.spec.x' }]);
    return column!.cell({ apiVersion: 'v1', kind: 'K', metadata: { name: 'a' }, spec: { x: value } });
  };

  test('show a value only if it is of their type', () => {
    expect(cells('string', 'text')).toBe('text');
    expect(cells('string', 3)).toBe('3');
    expect(cells('string', { a: 1 })).toBe('{"a":1}');
    expect(cells('integer', 3.9)).toBe(3);
    expect(cells('integer', '3')).toBeNull();
    expect(cells('number', 0.5)).toBe(0.5);
    expect(cells('boolean', false)).toBe(false);
    expect(cells('boolean', 'yes')).toBeNull();
    expect(cells('date', 'soon')).toBe('<invalid>');
    expect(cells('string', undefined)).toBeNull();
    expect(cells('string', null)).toBeNull();
  });

  test('are the age alone when none are declared', () => {
    expect(crdColumns(undefined).map(({ name, type }) => [name, type])).toEqual([['Age', 'date']]);
  });
});

describe('a table', () => {
  const object: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', labels: { l: '1' }, creationTimestamp: new Date(Date.now() - 5 * minute).toISOString() },
    data: { x: '1' },
    binaryData: { y: 'YQ==' },
  };

  test('has the name first and carries what was asked for beside the cells', () => {
    const table = toTable(configMapDefinition, [object], { listMeta: { resourceVersion: '7' } });
    expect(table.metadata).toEqual({ resourceVersion: '7' });
    expect(table.columnDefinitions?.map(({ name }) => name)).toEqual(['Name', 'Data', 'Age']);
    expect(table.rows).toEqual([
      {
        cells: ['a', 2, '5m'],
        object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
      },
    ]);
    expect(toTable(configMapDefinition, [object], { includeObject: 'None' }).rows[0]!.object).toBeNull();
    expect(toTable(configMapDefinition, [object], { includeObject: 'Object' }).rows[0]!.object).toBe(object);
  });

  test('leaves the columns out when a watch has sent them before', () => {
    expect(toTable(configMapDefinition, [object], { omitColumns: true }).columnDefinitions).toBeNull();
  });

  test('of events has the name last', () => {
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e', namespace: 'default' },
      involvedObject: { kind: 'Task', name: 'web-0', fieldPath: 'spec' },
      reason: 'Started',
      type: 'Normal',
      message: ' it runs ',
      source: { component: 'agent', host: 'n1' },
      firstTimestamp: new Date(Date.now() - 2 * hour).toISOString(),
      series: { count: 4, lastObservedTime: new Date(Date.now() - 90 * second).toISOString() },
    } as KubernetesObject;
    const { columnDefinitions, rows } = toTable(coreEventDefinition, [event]);
    expect(columnDefinitions!.map(({ name }) => name)).toEqual([
      'Last Seen',
      'Type',
      'Reason',
      'Object',
      'Subobject',
      'Source',
      'Message',
      'First Seen',
      'Count',
      'Name',
    ]);
    expect(rows[0]!.cells).toEqual([
      '90s',
      'Normal',
      'Started',
      'task/web-0',
      'spec',
      'agent, n1',
      'it runs',
      '120m',
      4,
      'e',
    ]);
  });
});
