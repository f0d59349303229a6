import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { widgetCrd, widgetsPath } from '../kubectl/widgets.ts';
import { crds, type Json } from '../server-fixture.ts';
import { type BothServers, causesOf, normal, startBoth, whyNotComparable } from './both.ts';
import { crdCases, crdWith, schemaCases } from './crd-cases.ts';

/** The same requests to this server and to a recent genuine one must get the same answers. */

const describeBoth = whyNotComparable('crd') ? describe.skip : describe;

let both: BothServers;
const dryRun = `${widgetsPath}?dryRun=All`;
const widget = (spec: unknown, more: object = {}) => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name: 'n' },
  spec,
  ...more,
});
const ports = [{ name: 'http' }, { name: 'other', number: 3 }];

describeBoth('compared with a genuine API server', () => {
  beforeAll(async () => {
    both = await startBoth('crd');
    const { ours, genuine } = await both.call('POST', crds, parse(widgetCrd));
    expect([ours.status, genuine.status]).toEqual([201, 201]);
    for (let served = false; !served; await sleep(50)) {
      const { ours: a, genuine: b } = await both.call('GET', widgetsPath);
      served = a.status === 200 && b.status === 200;
    }
    const made = { ...widget({ color: 'red', ports }), metadata: { name: 'a', labels: { x: '1' } } };
    const created = await both.call('POST', widgetsPath, made);
    expect(normal(created.ours.body)).toEqual(normal(created.genuine.body));
  }, 60_000);
  afterAll(() => both?.close());

  async function same(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Json> {
    const { ours, genuine } = await both.call(method, path, body, headers);
    expect(ours.status).toBe(genuine.status);
    expect(normal(ours.body)).toEqual(normal(genuine.body));
    expect(ours.headers.warning).toBe(genuine.headers.warning);
    return ours.body;
  }

  describe('discovery is the same', () => {
    test.each(['/apis/example.com', '/apis/example.com/v1'])('%s', async (path) => {
      await same('GET', path);
    });

    test('aggregated', async () => {
      const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
      const { ours, genuine } = await both.call('GET', '/apis', undefined, { accept });
      const group = ({ body }: { body: Json }) =>
        normal(body.items.find(({ metadata }: Json) => metadata.name === 'example.com'));
      expect(group(ours)).toEqual(group(genuine));
      expect(ours.headers['content-type']).toBe(genuine.headers['content-type']);
    });
  });

  describe('tables are the same', () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const described = (body: Json) => ({
      ...normal(body),
      // Descriptions are our own words, and ages are those of the moment.
      columnDefinitions: body.columnDefinitions.map(({ name, description: _, ...column }: Json) => ({
        name,
        ...column,
      })),
      rows: normal(body.rows.map(({ cells, ...row }: Json) => ({ ...row, cells: cells.slice(0, -1) }))),
    });

    test.each([
      widgetsPath,
      `${widgetsPath}/a`,
      `${widgetsPath}?includeObject=None`,
      `${widgetsPath}?includeObject=Object`,
    ])('%s', async (path) => {
      const { ours, genuine } = await both.call('GET', path, undefined, { accept });
      expect(described(ours.body)).toEqual(described(genuine.body));
      expect(ours.body.rows[0].cells.at(-1)).toMatch(/^\d+s$/);
    });
  });

  describe('OpenAPI', () => {
    test('has the same schema of the kind', async () => {
      const { ours, genuine } = await both.call('GET', '/openapi/v3/apis/example.com/v1');
      const schema = ({ body }: { body: Json }) => body.components.schemas['com.example.v1.Widget'];
      for (const field of ['spec', 'status'])
        expect(schema(ours).properties[field]).toEqual(schema(genuine).properties[field]);
      expect(schema(ours)['x-kubernetes-group-version-kind']).toEqual(
        schema(genuine)['x-kubernetes-group-version-kind'],
      );
      expect(Object.keys(ours.body.paths).sort()).toEqual(Object.keys(genuine.body.paths).sort());
      const verbs = ({ body }: { body: Json }) =>
        Object.fromEntries(
          Object.entries<Json>(body.paths).map(([path, { parameters: _, ...item }]) => [
            path,
            Object.keys(item).sort(),
          ]),
        );
      expect(verbs(ours)).toEqual(verbs(genuine));
    });

    test('of version 2 has the same schema of the kind', async () => {
      const { ours, genuine } = await both.call('GET', '/openapi/v2');
      const kind = ({ body }: { body: Json }) => body.definitions['com.example.v1.Widget'].properties.spec;
      const names = (schema: Json) => Object.keys(schema.properties).sort();
      expect(names(kind(ours))).toEqual(names(kind(genuine)));
      expect(kind(ours).required).toEqual(kind(genuine).required);
    });
  });

  describe('good writes have the same result', () => {
    test.each<[string, unknown]>([
      ['defaults', widget({ color: 'blue', ports })],
      ['no spec', widget(undefined)],
      ['null spec', widget(null)],
      ['null for a default', widget({ color: 'red', replicas: null })],
      ['status of a create', widget({ color: 'red' }, { status: { replicas: 3 } })],
      ['unknown fields', widget({ color: 'red', bogus: 1, ports: [{ name: 'a', q: 1 }] }, { foo: 2 })],
      ['free fields', widget({ color: 'red', free: { a: { b: [1, 'x'] } }, size: 'large', tags: { a: 'b' } })],
    ])('%s', async (_, body) => {
      await same('POST', dryRun, body);
    });

    test.each<[string, string, unknown]>([
      ['merge', 'merge-patch+json', { spec: { color: 'blue', tags: { a: 'b' } }, metadata: { labels: { x: null } } }],
      ['merge of status, ignored', 'merge-patch+json', { status: { replicas: 7 } }],
      ['merge of an unknown field', 'merge-patch+json', { spec: { bogus: 1 } }],
      ['JSON add', 'json-patch+json', [{ op: 'add', path: '/spec/ports/-', value: { name: 'z' } }]],
      ['JSON copy', 'json-patch+json', [{ op: 'copy', from: '/spec/color', path: '/spec/fixed' }]],
      ['JSON test of nothing for null', 'json-patch+json', [{ op: 'test', path: '/spec/nope', value: null }]],
      ['empty JSON patch', 'json-patch+json', []],
    ])('patch: %s', async (_, type, patch) => {
      await same('PATCH', `${widgetsPath}/a?dryRun=All`, patch, { 'content-type': `application/${type}` });
    });
  });

  describe('bad writes are refused for the same causes', () => {
    test.each<[string, unknown]>([
      ['required', widget({})],
      ['null for a required field', widget({ color: null })],
      ['enum and maximum', widget({ color: 'green', replicas: 11 })],
      ['types', widget({ color: 'red', size: true, tags: { a: 1 } })],
      ['list keys', widget({ color: 'red', ports: [{ name: 'a' }, { name: 'a' }, {}] })],
      ['length', widget({ color: 'red', ports: [{ name: '12345678901' }] })],
      ['rule', widget({ color: 'blue', replicas: 7 })],
      ['scalar for an object', widget(5)],
      ['fraction for an integer', widget({ color: 'red', replicas: 1.5 })],
    ])('%s', async (_, body) => {
      const { ours, genuine } = await both.call('POST', dryRun, body);
      expect([ours.status, ours.body.reason]).toEqual([genuine.status, genuine.body.reason]);
      expect(causesOf(ours)).toEqual(causesOf(genuine));
    });

    test('a transition rule', async () => {
      const patch = (fixed: string) =>
        both.call('PATCH', `${widgetsPath}/a`, { spec: { fixed } }, { 'content-type': 'application/merge-patch+json' });
      await patch('one');
      const { ours, genuine } = await patch('two');
      expect(causesOf(ours)).toEqual(causesOf(genuine));
      expect(ours.body.message).toBe(genuine.body.message);
    });

    test('unknown and duplicate fields, strictly', async () => {
      const strict = `${dryRun}&fieldValidation=Strict`;
      await same('POST', strict, widget({ color: 'red', bogus: 1, ports: [{ name: 'a', q: 1 }] }, { foo: 2 }));
      const twice =
        '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"n"},"spec":{"color":"blue","color":"red"}}';
      await same('POST', strict, twice);
      await same('POST', dryRun, twice);
    });

    test.each<[string, string, unknown]>([
      ['failed test', 'json-patch+json', [{ op: 'test', path: '/spec/color', value: 'blue' }]],
      ['absent path', 'json-patch+json', [{ op: 'replace', path: '/spec/nope', value: 1 }]],
      ['absent parent', 'json-patch+json', [{ op: 'add', path: '/spec/nope/x', value: 1 }]],
      ['no list', 'json-patch+json', {}],
      ['unknown operation', 'json-patch+json', [{ op: 'bogus', path: '/x' }]],
      ['no path', 'json-patch+json', [{ op: 'add', value: 1 }]],
      [
        'too many operations',
        'json-patch+json',
        Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'Widget' })),
      ],
      ['a list as merge patch', 'merge-patch+json', []],
      ['broken JSON', 'merge-patch+json', '{'],
      ['another kind', 'merge-patch+json', { kind: 'Other' }],
      ['another name', 'merge-patch+json', { metadata: { name: 'b' } }],
      ['an old version', 'merge-patch+json', { metadata: { resourceVersion: '1' } }],
      ['strategic merge', 'strategic-merge-patch+json', {}],
      ['an unknown patch type', 'foo', {}],
    ])('patch: %s', async (_, type, patch) => {
      const { ours, genuine } = await both.call('PATCH', `${widgetsPath}/a?dryRun=All`, patch, {
        'content-type': `application/${type}`,
      });
      expect([ours.status, ours.body.reason]).toEqual([genuine.status, genuine.body.reason]);
    });
  });

  describe('selectors', () => {
    test.each([
      'x',
      'x=1',
      '!x',
      'x in (1,2)',
      'x notin (3)',
      'x>0',
      'x in ()',
      'x=',
      'x in',
      'x=1,',
      ',',
      'x in (1',
      'A B',
      '-x',
      'x=@',
      'x<a',
      '!x=1',
      'a/b/c=1',
      'x=1 y=2',
    ])('label selector %s', async (selector) => {
      await same('GET', `${widgetsPath}?labelSelector=${encodeURIComponent(selector)}`);
    });

    test.each([
      'spec.color=red',
      'spec.color!=red',
      'metadata.name=a,spec.color=red',
      'spec.foo=1',
      'spec.color',
      '=x',
      'spec.color=a=b',
      'spec.color=\\q',
    ])('field selector %s', async (selector) => {
      await same('GET', `${widgetsPath}?fieldSelector=${encodeURIComponent(selector)}`);
    });
  });

  describe('CRDs', () => {
    test('get the same status, names and conditions', async () => {
      const crd = crdWith({ names: { plural: 'yaks', kind: 'Yak', shortNames: ['yk'], categories: ['all'] } });
      const taken = crdWith(
        { names: { plural: 'oxen', kind: 'Yak', singular: 'ox', listKind: 'OxList', shortNames: ['yk'] } },
        'oxen.x.example.com',
      );
      for (const each of [crd, taken]) {
        await both.call('POST', crds, each);
        await sleep(500);
      }
      for (const name of ['yaks', 'oxen']) {
        const { ours, genuine } = await both.call('GET', `${crds}/${name}.x.example.com`);
        // Here the finalizer is there from the start, in the genuine server from the deletion.
        delete ours.body.metadata.finalizers;
        expect(normal(ours.body)).toEqual(normal(genuine.body));
      }
      for (const name of ['yaks', 'oxen']) await both.call('DELETE', `${crds}/${name}.x.example.com`);
      await sleep(500);
    });

    const tried = [
      ...schemaCases.map(({ name, schema }) => ({
        name: `a schema of ${name}`,
        crd: crdWith({ versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }] }),
      })),
      ...crdCases.map(({ name, crd }) => ({ name: `one that ${name}`, crd })),
    ];

    test.each(tried)('are accepted or refused alike: $name', async ({ crd }) => {
      const { ours, genuine } = await both.call('POST', `${crds}?dryRun=All`, crd);
      expect(ours.status).toBe(genuine.status);
      // The genuine server hoists what all versions share, prints values as Go structures, and costs of rules are its own affair.
      const plain = (reply: typeof ours) =>
        [
          ...new Set(
            causesOf(reply).map((cause) =>
              cause
                .replace(/Invalid value: (\{"Rule".*?\}|\[.*?\]|\{.*?\}): /, 'Invalid value: ')
                .split(/ ERROR:|isn't:/)[0]!
                .replace(/\.JSONPath/, '.jsonPath')
                .replace(/spec\.(additionalPrinterColumns|subresources|selectableFields)/, 'spec.versions[0].$1'),
            ),
          ),
        ].filter(
          (cause) =>
            !cause.includes('status.storedVersions') &&
            !cause.includes(' spec.version:') &&
            !cause.includes('rule cost'),
        );
      const kinds = (causes: string[]) => causes.map((cause) => cause.split(':')[0]);
      if (
        plain(ours).some(
          (cause) =>
            cause.includes('compilation failed') || cause.includes('.default') || cause.includes('spec.versions:'),
        )
      ) {
        expect(kinds(plain(ours))).toEqual(kinds(plain(genuine)));
      } else {
        expect(plain(ours)).toEqual(plain(genuine));
      }
    });
  });
});
