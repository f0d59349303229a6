import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

  test('apply creates, leaves alone, and changes only what the file says', async () => {
    const first = widgetYaml('applied', 'color: red, ports: [{name: http, number: 80}]', 'labels: {a: "1"}');
    expect(await apply(first)).toBe('widget.example.com/applied created');
    expect(await apply(first)).toBe('widget.example.com/applied unchanged');
    await kubectl.ok(['patch', 'wd', 'applied', '--type=merge', '-p', '{"spec":{"replicas":3}}']);
    expect(await apply(widgetYaml('applied', 'color: blue, ports: [{name: http}]'))).toBe(
      'widget.example.com/applied configured',
    );
    const { spec, metadata } = await json('wd', 'applied');
    expect(spec).toEqual({ color: 'blue', replicas: 3, ports: [{ name: 'http', number: 80 }] });
    expect(metadata.labels).toBeUndefined();
    expect(metadata.generation).toBe(3);
  });

  test('apply refuses bad documents and names the place', async () => {
    const refused = async (spec: string) =>
      (await kubectl.run(['apply', '-f', '-'], { input: widgetYaml('bad', spec) })).stderr;
    expect(await refused('color: red, colour: red')).toContain(
      minor >= 25 ? 'unknown field "spec.colour"' : 'unknown field "colour"',
    );
    if (minor >= 25)
      expect(await refused('color: green, replicas: 11')).toContain(
        'spec.color: Unsupported value: "green": supported values: "red", "blue"',
      );
    expect(await refused('color: red, replicas: 11')).toContain(
      'spec.replicas in body should be less than or equal to 10',
    );
    expect(await refused('color: blue, replicas: 5')).toContain('blue has at most 4');
    expect((await kubectl.run(['get', 'wd', 'bad'])).stderr).toContain('widgets.example.com "bad" not found');
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

  test('edit opens the object in an editor, and shows what was wrong', async () => {
    await create('edited');
    const editor = (script: string) => ({ env: { KUBE_EDITOR: `sed -i ${script}`, EDITOR: '' } });
    expect(await kubectl.ok(['edit', 'wd', 'edited'], editor('s/color:.red/color:\\ blue/'))).toBe(
      'widget.example.com/edited edited',
    );
    expect((await json('wd', 'edited')).spec.color).toBe('blue');
    const refused = await kubectl.run(['edit', 'wd', 'edited'], editor('s/color:.blue/color:\\ green/'));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('"edited" is invalid');
    // kubectl writes the reasons into the file that it opens again.
    const kept = readFileSync(/stored to "(.*)"/.exec(refused.stderr)![1]!, 'utf8');
    expect(kept).toContain('Unsupported value: "green": supported values: "red", "blue"');
  });

  test.each([
    [
      'json',
      '[{"op":"test","path":"/spec/color","value":"red"},{"op":"add","path":"/spec/tags","value":{"a":"b"}}]',
      { a: 'b' },
    ],
    ['merge', '{"spec":{"tags":{"c":"d"}}}', { c: 'd' }],
  ])('patch --type=%s changes it', async (type, patch, tags) => {
    await create(`patched-${type}`);
    expect(await kubectl.ok(['patch', 'wd', `patched-${type}`, '--type', type, '-p', patch])).toBe(
      `widget.example.com/patched-${type} patched`,
    );
    expect((await json('wd', `patched-${type}`)).spec.tags).toEqual(tags);
  });

  test('patch tells why it does not apply', async () => {
    await create('unpatched');
    const patch = (type: string, text: string) => kubectl.run(['patch', 'wd', 'unpatched', '--type', type, '-p', text]);
    expect((await patch('json', '[{"op":"test","path":"/spec/color","value":"blue"}]')).stderr).toContain(
      'the value is "red", not "blue"',
    );
    expect((await patch('merge', '{"spec":{"color":"green"}}')).stderr).toContain(
      'spec.color: Unsupported value: "green"',
    );
    expect((await patch('strategic', '{"spec":{"color":"blue"}}')).stderr).toContain(
      'accepted media types include: application/json-patch+json, application/merge-patch+json',
    );
    await kubectl.ok(['patch', 'wd', 'unpatched', '--type=merge', '-p', '{"spec":{"fixed":"a"}}']);
    expect((await patch('merge', '{"spec":{"fixed":"b"}}')).stderr).toContain(
      'spec.fixed: Invalid value: "b": fixed is immutable',
    );
  });

  since(24)('patch --subresource changes the status alone', async () => {
    await create('half');
    await kubectl.ok([
      'patch',
      'wd',
      'half',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"replicas":2},"spec":{"color":"blue"}}',
    ]);
    expect(await json('wd', 'half')).toMatchObject({
      spec: { color: 'red' },
      status: { replicas: 2 },
      metadata: { generation: 1 },
    });
  });

  test('replace needs the version it has seen', async () => {
    await create('replaced');
    const object = await json('wd', 'replaced');
    object.spec.color = 'blue';
    expect(await kubectl.ok(['replace', '-f', '-'], { input: JSON.stringify(object) })).toBe(
      'widget.example.com/replaced replaced',
    );
    const { stderr } = await kubectl.run(['replace', '-f', '-'], { input: JSON.stringify(object) });
    expect(stderr).toContain(
      'the object has been modified; please apply your changes to the latest version and try again',
    );
  });

  test('scale goes through the scale subresource', async () => {
    await create('scaled');
    expect(await kubectl.ok(['scale', 'wd', 'scaled', '--replicas=4'])).toBe('widget.example.com/scaled scaled');
    expect((await json('wd', 'scaled')).spec.replicas).toBe(4);
    const { stderr } = await kubectl.run(['scale', 'wd', 'scaled', '--current-replicas=1', '--replicas=2']);
    expect(stderr).toContain('Expected replicas to be 1, was 4');
    expect((await kubectl.run(['scale', 'wd', 'scaled', '--replicas=11'])).stderr).toContain(
      'less than or equal to 10',
    );
  });

  test('label and annotate add, change and remove', async () => {
    await create('tagged');
    expect(await kubectl.ok(['label', 'wd', 'tagged', 'a=1', 'b=2'])).toContain('widget.example.com/tagged labeled');
    expect((await kubectl.run(['label', 'wd', 'tagged', 'a=3'])).code).toBe(1);
    await kubectl.ok(['label', 'wd', 'tagged', 'a=3', 'b-', '--overwrite']);
    expect(await kubectl.ok(['annotate', 'wd', 'tagged', 'note=hello world'])).toContain(
      'widget.example.com/tagged annotated',
    );
    const { metadata } = await json('wd', 'tagged');
    expect(metadata).toMatchObject({ labels: { a: '3' }, annotations: { note: 'hello world' }, generation: 1 });
    expect((await kubectl.run(['label', 'wd', 'tagged', 'bad key=1'])).code).toBe(1);
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

  test('diff shows what an apply would do, and does nothing', async () => {
    await apply(widgetYaml('compared', 'color: red'));
    expect((await kubectl.run(['diff', '-f', '-'], { input: widgetYaml('compared', 'color: red') })).code).toBe(0);
    const { code, stdout } = await kubectl.run(['diff', '-f', '-'], { input: widgetYaml('compared', 'color: blue') });
    expect(code).toBe(1);
    expect(stdout).toMatch(/-\s+color: red\n\+\s+color: blue/);
    expect((await json('wd', 'compared')).spec.color).toBe('red');
  });

  test('--dry-run=server checks and writes nothing', async () => {
    const input = widgetYaml('dry', 'color: red');
    expect(await kubectl.ok(['apply', '--dry-run=server', '-f', '-'], { input })).toBe(
      'widget.example.com/dry created (server dry run)',
    );
    expect((await kubectl.run(['get', 'wd', 'dry'])).code).toBe(1);
  });

  test('apply --server-side creates, changes, and tells of conflicts', async () => {
    const server = (spec: string, ...more: string[]) =>
      kubectl.run(['apply', '--server-side', '-f', '-', ...more], { input: widgetYaml('owned', spec) });
    expect((await server('color: red, tags: {a: "1"}')).stdout.trim()).toBe(
      'widget.example.com/owned serverside-applied',
    );
    await kubectl.ok([
      'patch',
      'wd',
      'owned',
      '--type=merge',
      '--field-manager=hand',
      '-p',
      '{"spec":{"color":"blue","tags":{"b":"2"}}}',
    ]);
    const refused = await server('color: red, tags: {a: "1"}');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('conflict with "hand" using example.com/v1: .spec.color');
    expect((await server('color: red', '--force-conflicts')).code).toBe(0);
    expect((await json('wd', 'owned')).spec).toMatchObject({ color: 'red', tags: { b: '2' } });
    expect(
      (await kubectl.run(['diff', '--server-side', '-f', '-'], { input: widgetYaml('owned', 'color: red') })).code,
    ).toBe(0);
    const managers = JSON.parse(
      await kubectl.ok(['get', 'wd', 'owned', '-o', 'json', ...(minor >= 21 ? ['--show-managed-fields'] : [])]),
    );
    expect(
      managers.metadata.managedFields.map(
        (entry: { manager: string; operation: string }) => `${entry.manager} ${entry.operation}`,
      ),
    ).toEqual(['kubectl Apply', 'hand Update']);
  });

  test('an object applied by the client can be applied by the server', async () => {
    await apply(widgetYaml('migrated', 'color: red, tags: {a: "1"}'));
    const changed = { input: widgetYaml('migrated', 'color: blue, tags: {b: "2"}') };
    expect(await kubectl.ok(['apply', '--server-side', '-f', '-'], changed)).toBe(
      'widget.example.com/migrated serverside-applied',
    );
    expect((await json('wd', 'migrated')).spec.color).toBe('blue');
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

  test('a manifest of several documents is applied as far as it is good', async () => {
    const file = join(kubectl.api.dataDir, 'several.yaml');
    writeFileSync(
      file,
      [
        widgetYaml('several-1', 'color: red'),
        widgetYaml('several-2', 'color: red, replicas: 77'),
        widgetYaml('several-3', 'color: red'),
      ].join('---\n'),
    );
    const { code, stdout, stderr } = await kubectl.run(['apply', '-f', file]);
    expect(code).toBe(1);
    expect(stdout).toContain('several-1 created');
    expect(stdout).toContain('several-3 created');
    expect(stderr).toContain('"several-2" is invalid: spec.replicas');
  });
});
