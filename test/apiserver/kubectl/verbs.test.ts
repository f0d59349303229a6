import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { clientMinor, type KubectlServer, startKubectlServer } from './kubectl.ts';
import { widgetCrd, widgetsPath, widgetYaml } from './widgets.ts';

const minor = clientMinor();
/** `since(23)`: the verb is in kubectl 1.23 and newer. */
const since = (first: number) => (minor >= first ? test : test.skip);

let kubectl: KubectlServer;
beforeAll(async () => {
  kubectl = await startKubectlServer();
  await kubectl.ok(['apply', '-f', '-'], { input: widgetCrd });
  await kubectl.ok(['wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=10s']);
});
afterAll(() => kubectl.close());

const apply = (yaml: string, ...more: string[]) => kubectl.ok(['apply', '-f', '-', ...more], { input: yaml });
const create = (name: string, spec = 'color: red', metadata = '') =>
  kubectl.ok(['create', '-f', '-'], { input: widgetYaml(name, spec, metadata) });
const json = async (...args: string[]) => JSON.parse(await kubectl.ok(['get', '-o', 'json', ...args]));
const status = (name: string, fields: object) =>
  kubectl.api.call(
    'PATCH',
    `${widgetsPath}/${name}/status`,
    { status: fields },
    { 'content-type': 'application/merge-patch+json' },
  );

describe('kubectl on a kind of the user', () => {
  test('create makes an object once', async () => {
    expect(await create('created')).toBe('widget.example.com/created created');
    const { code, stderr } = await kubectl.run(['create', '-f', '-'], { input: widgetYaml('created', 'color: red') });
    expect([code, stderr.trim()]).toEqual([
      1,
      'Error from server (AlreadyExists): error when creating "STDIN": widgets.example.com "created" already exists',
    ]);
  });

  test('get prints the columns of the kind, more with -o wide, and yaml', async () => {
    await create('shown', 'color: red, ports: [{name: http}]');
    await status('shown', { conditions: [{ type: 'Ready', status: 'True' }] });
    const [head, row] = (await kubectl.ok(['get', 'wd', 'shown'])).split('\n').map((line) => line.split(/\s+/));
    expect(head).toEqual(['NAME', 'COLOR', 'REPLICAS', 'READY', 'AGE']);
    expect(row!.slice(0, 4)).toEqual(['shown', 'red', '1', 'True']);
    expect(row![4]).toMatch(/^\d+s$/);
    expect((await kubectl.ok(['get', 'wd', 'shown', '-o', 'wide'])).split('\n')[0]!.split(/\s+/)).toContain('PORTS');
    const yaml = await kubectl.ok(['get', 'widgets.example.com', 'shown', '-o', 'yaml']);
    expect(yaml).toContain('apiVersion: example.com/v1\nkind: Widget\nmetadata:');
    expect(await kubectl.ok(['get', 'wd', 'shown', '-o', 'jsonpath={.spec.ports[0].number}'])).toBe('80');
    expect(await kubectl.ok(['get', 'wd', 'shown', '-o', 'custom-columns=C:.spec.color', '--no-headers'])).toBe('red');
    expect(await kubectl.ok(['get', 'gadgets', '-o', 'name'])).toContain('widget.example.com/shown');
  });

  test('get selects by labels and fields', async () => {
    await create('sel-a', 'color: red', 'labels: {part: x}');
    await create('sel-b', 'color: blue', 'labels: {part: x}');
    const names = (...args: string[]) => kubectl.ok(['get', 'wd', '-o', 'name', ...args]);
    expect(await names('-l', 'part=x')).toBe('widget.example.com/sel-a\nwidget.example.com/sel-b');
    expect(await names('-l', 'part in (x),!other', '--field-selector', 'spec.color=blue')).toBe(
      'widget.example.com/sel-b',
    );
    expect((await kubectl.run(['get', 'wd', '--field-selector', 'spec.nope=1'])).stderr).toContain(
      'field label not supported: spec.nope',
    );
  });

  test('get --all-namespaces and paging show everything once', async () => {
    await kubectl.ok(['create', 'namespace', 'other']);
    for (let i = 0; i < 7; i++)
      await kubectl.ok(['create', '-n', 'other', '-f', '-'], { input: widgetYaml(`page-${i}`, 'color: red') });
    const lines = (await kubectl.ok(['get', 'wd', '-n', 'other', '--chunk-size=3', '--no-headers'])).split('\n');
    expect(lines).toHaveLength(7);
    expect(await kubectl.ok(['get', 'wd', '-A'])).toMatch(/^NAMESPACE +NAME[\s\S]*other +page-0/);
  });

  test('get -w shows changes as they come', async () => {
    await create('watched');
    const watch = kubectl.follow(['get', 'wd', 'watched', '-w'], (out) => out.includes('blue') && out.includes('red'));
    await watch.started;
    await kubectl.ok(['patch', 'wd', 'watched', '--type=merge', '-p', '{"spec":{"color":"blue"}}']);
    const lines = (await watch.output)
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/).slice(0, 2).join(' '));
    expect(lines).toEqual(['NAME COLOR', 'watched red', 'watched blue']);
  });

  test('describe shows fields and events', async () => {
    await create('described');
    const { metadata } = await json('wd', 'described');
    await kubectl.ok(['create', '-f', '-'], {
      input: JSON.stringify({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'described.1' },
        type: 'Warning',
        reason: 'TooRed',
        message: 'it is red',
        involvedObject: {
          apiVersion: 'example.com/v1',
          kind: 'Widget',
          name: 'described',
          namespace: 'default',
          uid: metadata.uid,
        },
        source: { component: 'tester' },
        firstTimestamp: new Date().toISOString(),
        lastTimestamp: new Date().toISOString(),
        count: 2,
      }),
    });
    const text = await kubectl.ok(['describe', 'wd', 'described']);
    expect(text).toMatch(/Name: +described\nNamespace: +default/);
    expect(text).toMatch(/Spec:\n +Color: +red/);
    expect(text).toMatch(/Warning +TooRed +\S.* +tester +it is red/);
    expect(await kubectl.ok(['get', 'events', '--field-selector', 'involvedObject.name=described'])).toMatch(
      /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\S+ +Warning +TooRed +widget\/described +it is red$/,
    );
  });

  since(26)('events prints them too', async () => {
    expect(await kubectl.ok(['events', '--types=Warning'])).toContain('TooRed');
  });

  test('wait returns when the condition holds, and fails when it does not', async () => {
    await create('awaited');
    const waiting = kubectl.ok(['wait', 'wd/awaited', '--for=condition=Ready', '--timeout=10s']);
    await sleep(200);
    await status('awaited', { conditions: [{ type: 'Ready', status: 'True' }] });
    expect(await waiting).toBe('widget.example.com/awaited condition met');
    const { stderr } = await kubectl.run(['wait', 'wd/awaited', '--for=condition=Cold', '--timeout=1s']);
    expect(stderr).toContain('timed out waiting for the condition');
  });

  since(23)('wait understands JSON paths', async () => {
    await create('awaited-path');
    const waiting = kubectl.ok(['wait', 'wd/awaited-path', '--for=jsonpath={.status.replicas}=2', '--timeout=10s']);
    await status('awaited-path', { replicas: 2 });
    expect(await waiting).toBe('widget.example.com/awaited-path condition met');
  });

  test('delete waits for finalizers', async () => {
    await create('final', 'color: red', 'finalizers: [example.com/hold]');
    const deleting = kubectl.ok(['delete', 'wd', 'final', '--timeout=10s']);
    await sleep(300);
    expect((await json('wd', 'final')).metadata.deletionTimestamp).toBeDefined();
    await kubectl.ok(['patch', 'wd', 'final', '--type=json', '-p', '[{"op":"remove","path":"/metadata/finalizers"}]']);
    expect(await deleting).toMatch(/^widget.example.com "final" deleted/);
    expect((await kubectl.run(['get', 'wd', 'final'])).stderr).toContain('NotFound');
    expect(await kubectl.ok(['delete', 'wd', 'final', '--ignore-not-found'])).toBe('');
  });

  test.each(['background', 'foreground', 'orphan'])('delete --cascade=%s', async (mode) => {
    const [owner, dependent] = [`owner-${mode}`, `dependent-${mode}`];
    await create(owner);
    const { uid } = (await json('wd', owner)).metadata;
    const reference = `{apiVersion: example.com/v1, kind: Widget, name: ${owner}, uid: "${uid}", blockOwnerDeletion: true}`;
    await create(dependent, 'color: red', `ownerReferences: [${reference}]`);
    await kubectl.ok(['delete', 'wd', owner, `--cascade=${mode}`, '--timeout=10s']);
    if (mode === 'orphan') {
      expect((await json('wd', dependent)).metadata.ownerReferences).toBeUndefined();
      return;
    }
    if (mode === 'background') await kubectl.run(['wait', '--for=delete', `wd/${dependent}`, '--timeout=10s']);
    expect((await kubectl.run(['get', 'wd', dependent])).stderr).toContain('NotFound');
  });

  test('delete by label and --all take many at once', async () => {
    await create('many-1', 'color: red', 'labels: {many: "1"}');
    await create('many-2', 'color: red', 'labels: {many: "1"}');
    await kubectl.ok(['delete', 'wd', '-l', 'many=1']);
    expect(await kubectl.ok(['get', 'wd', '-l', 'many=1', '-o', 'name'])).toBe('');
    await kubectl.ok(['delete', 'namespace', 'other', '--timeout=20s']);
    expect(await kubectl.ok(['get', 'wd', '-A', '-o', 'name', '--field-selector', 'metadata.namespace=other'])).toBe(
      '',
    );
  });

  test('explain knows every field', async () => {
    expect(await kubectl.ok(['explain', 'wd.spec.color'])).toMatch(/FIELD: +color <string>[\s\S]*Its color\./);
    const tree = await kubectl.ok(['explain', 'widget', '--recursive']);
    for (const field of ['color', 'ports', 'number', 'tags', 'finalizers', 'ownerReferences'])
      expect(tree).toContain(field);
    expect((await kubectl.run(['explain', 'wd.spec.nope'])).stderr).toContain('field "nope" does not exist');
  });

  test('api-resources and api-versions list it', async () => {
    const line = (await kubectl.ok(['api-resources', '--api-group=example.com', '--no-headers', '-o', 'wide'])).split(
      /\s+/,
    );
    expect(line.slice(0, 5)).toEqual(['widgets', 'wd', 'example.com/v1', 'true', 'Widget']);
    expect(line.join(' ')).toMatch(/deletecollection/);
    expect(await kubectl.ok(['api-versions'])).toContain('example.com/v1');
    expect(await kubectl.ok(['api-resources', '--namespaced=false', '-o', 'name'])).toContain(
      'customresourcedefinitions.apiextensions.k8s.io',
    );
  });

  test('a changed CRD is served at once, a deleted one takes its objects along', async () => {
    await apply(
      widgetCrd
        .replaceAll('widgets', 'things')
        .replaceAll('widget', 'thing')
        .replace('kind: Widget', 'kind: Thing')
        .replace('[wd]', '[tg]')
        .replace('gadgets', 'tools'),
    );
    await kubectl.ok(['wait', '--for=condition=Established', 'crd/things.example.com', '--timeout=10s']);
    const thing = widgetYaml('a', 'color: red').replace('Widget', 'Thing');
    await kubectl.ok(['create', '-f', '-'], { input: thing });
    await kubectl.ok([
      'patch',
      'crd',
      'things.example.com',
      '--type=json',
      '-p',
      '[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/weight","value":{"type":"integer"}}]',
    ]);
    await kubectl.ok(['patch', 'tg', 'a', '--type=merge', '-p', '{"spec":{"weight":3}}']);
    expect((await json('tg', 'a')).spec.weight).toBe(3);
    await kubectl.ok(['delete', 'crd', 'things.example.com', '--timeout=10s']);
    // What kubectl says depends on the age of its discovery cache.
    expect((await kubectl.run(['get', 'tg', 'a'])).stderr).toMatch(
      /could not find the requested resource|doesn't have a resource type/,
    );
  });
});
