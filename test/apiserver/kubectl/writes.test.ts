import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { clientMinor, type KubectlServer, startKubectlServer } from './kubectl.ts';
import { widgetCrd, widgetYaml } from './widgets.ts';

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

describe("kubectl changes objects of the user's kind", () => {
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
