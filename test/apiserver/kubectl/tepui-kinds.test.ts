import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type KubectlServer, startKubectlServer } from './kubectl.ts';

let kubectl: KubectlServer;
beforeAll(async () => {
  kubectl = await startKubectlServer();
  await kubectl.ok(['apply', ...crdFiles()]);
  await kubectl.ok(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=10s']);
});
afterAll(() => kubectl.close());

/** Only the CRDs: the folder has a kustomization too. */
function crdFiles(): string[] {
  return kinds
    .map(({ plural }) => new URL(`../../../crds/tepui.dev_${plural}.yaml`, import.meta.url).pathname)
    .flatMap((file) => ['-f', file]);
}

const containers = [{ name: 'main', command: ['sleep', '60'] }];

interface Kind {
  kind: string;
  plural: string;
  short: string;
  namespaced: boolean;
  spec: object;
  /** A merge patch of spec, and where it shows. */
  change: [patch: object, path: string, value: string];
  /** Something that is refused, and what is said. */
  wrong: [spec: object, message: RegExp];
  explain: [path: string, text: RegExp];
}

const kinds: Kind[] = [
  {
    kind: 'Framework',
    plural: 'frameworks',
    short: 'fw',
    namespaced: true,
    spec: { template: { spec: { containers } } },
    change: [{ paused: true }, '{.spec.paused}', 'true'],
    wrong: [{ type: 'Sometimes', template: { spec: { containers } } }, /spec\.type: Unsupported value: "Sometimes"/],
    explain: ['spec.replicas', /FIELD: +replicas <integer>/],
  },
  {
    kind: 'Task',
    plural: 'tasks',
    short: 'tk',
    namespaced: true,
    spec: { containers },
    change: [{ desiredState: 'Killed' }, '{.spec.desiredState}', 'Killed'],
    wrong: [{ containers: [] }, /spec\.containers/],
    explain: ['spec.containers.resources.limits', /limits <Object>/],
  },
  {
    kind: 'Volume',
    plural: 'volumes',
    short: 'vol',
    namespaced: true,
    spec: { size: '1Gi' },
    change: [{ reclaimPolicy: 'Delete' }, '{.spec.reclaimPolicy}', 'Delete'],
    wrong: [{ size: 'large' }, /spec\.size/],
    explain: ['spec.size', /Size in bytes/],
  },
  {
    kind: 'Agent',
    plural: 'agents',
    short: 'ag',
    namespaced: false,
    spec: {},
    change: [{ deactivated: true }, '{.spec.deactivated}', 'true'],
    wrong: [{ deactivated: 'perhaps' }, /spec\.deactivated|cannot be handled|invalid type/],
    explain: ['spec.deactivated', /FIELD: +deactivated <boolean>/],
  },
  {
    kind: 'FrameworkRole',
    plural: 'frameworkroles',
    short: 'fwr',
    namespaced: false,
    spec: {},
    change: [{ weight: 2 }, '{.spec.weight}', '2'],
    wrong: [{ weight: -1 }, /spec\.weight/],
    explain: ['spec.weight', /FIELD: +weight/],
  },
];

describe.each(kinds)('kubectl on $kind', ({ kind, plural, short, namespaced, spec, change, wrong, explain }) => {
  const document = (name: string, given: object, metadata: object = {}) => ({
    input: JSON.stringify({ apiVersion: 'tepui.dev/v1alpha1', kind, metadata: { name, ...metadata }, spec: given }),
  });
  const resource = `${kind.toLowerCase()}.tepui.dev`;

  test('create, apply, get, describe', async () => {
    expect(await kubectl.ok(['create', '-f', '-'], document('made', spec))).toBe(`${resource}/made created`);
    expect(await kubectl.ok(['apply', '-f', '-'], document('a', spec))).toBe(`${resource}/a created`);
    expect(await kubectl.ok(['apply', '-f', '-'], document('a', spec))).toMatch(/unchanged|configured/);
    expect(await kubectl.ok(['get', short, 'a', '--no-headers'])).toMatch(/^a +/);
    expect(await kubectl.ok(['get', short, 'a', '-o', 'wide'])).toMatch(/^NAME[\s\S]*AGE/);
    expect(await kubectl.ok(['get', plural, 'a', '-o', 'yaml'])).toContain(`kind: ${kind}`);
    expect(await kubectl.ok(['describe', short, 'a'])).toMatch(new RegExp(`Kind: +${kind}`));
    expect(await kubectl.ok(['get', 'tepui', '-o', 'name'])).toContain(`${resource}/a`);
  });

  test('get -w, edit, patch, label, annotate', async () => {
    await kubectl.ok(['create', '-f', '-'], document('b', spec));
    const watch = kubectl.follow(['get', short, 'b', '-w', '-o', `jsonpath=${change[1]}{"\\n"}`], (out) =>
      out.includes(change[2]),
    );
    await watch.started;
    await kubectl.ok(['patch', short, 'b', '--type=merge', '-p', JSON.stringify({ spec: change[0] })]);
    expect((await watch.output).trim().split('\n').at(-1)).toBe(change[2]);
    await kubectl.ok(['label', short, 'b', 'x=1']);
    await kubectl.ok(['annotate', short, 'b', 'y=2']);
    const env = { KUBE_EDITOR: 'sed -i \'s/x:.*$/x: "3"/\'', EDITOR: '' };
    expect(await kubectl.ok(['edit', short, 'b'], { env })).toBe(`${resource}/b edited`);
    expect(await kubectl.ok(['get', short, 'b', '-o', 'jsonpath={.metadata.labels.x}{.metadata.annotations.y}'])).toBe(
      '32',
    );
  });

  test('wait, explain, api-resources', async () => {
    await kubectl.ok(['create', '-f', '-'], document('c', spec));
    const path = `/apis/tepui.dev/v1alpha1/${namespaced ? 'namespaces/default/' : ''}${plural}/c/status`;
    const condition = {
      type: 'Ready',
      status: 'True',
      reason: 'Test',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const { status } = await kubectl.api.call(
      'PATCH',
      path,
      { status: { conditions: [condition] } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect(status).toBe(200);
    expect(await kubectl.ok(['wait', `${short}/c`, '--for=condition=Ready', '--timeout=10s'])).toContain(
      'condition met',
    );
    expect(await kubectl.ok(['explain', `${short}.${explain[0]}`])).toMatch(explain[1]);
    expect(await kubectl.ok(['explain', short, '--recursive'])).toContain('conditions');
    expect(await kubectl.ok(['api-resources', '--api-group=tepui.dev'])).toMatch(
      new RegExp(`${plural} +${short} +tepui.dev/v1alpha1 +${namespaced} +${kind}`),
    );
  });

  test('delete, with a finalizer and with each cascade', async () => {
    await kubectl.ok(['create', '-f', '-'], document('held', spec, { finalizers: ['test.tepui.dev/hold'] }));
    await kubectl.ok(['delete', short, 'held', '--wait=false']);
    expect(await kubectl.ok(['get', short, 'held', '-o', 'jsonpath={.metadata.deletionTimestamp}'])).not.toBe('');
    await kubectl.ok(['patch', short, 'held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    expect((await kubectl.run(['get', short, 'held'])).stderr).toContain('NotFound');
    for (const mode of ['background', 'foreground', 'orphan']) {
      await kubectl.ok(['create', '-f', '-'], document(mode, spec));
      expect(await kubectl.ok(['delete', short, mode, `--cascade=${mode}`, '--timeout=10s'])).toMatch(/deleted/);
    }
  });

  test('a wrong document is refused with the field', async () => {
    const { code, stderr } = await kubectl.run(['create', '-f', '-'], document('wrong', wrong[0]));
    expect(code).toBe(1);
    expect(stderr).toMatch(wrong[1]);
    const unknown = await kubectl.run(['create', '-f', '-'], document('wrong', { ...spec, bogus: 1 }));
    expect(unknown.stderr).toMatch(/unknown field "(spec\.)?bogus"/);
  });
});

test('kubectl scales a Framework, and autoscalers find its selector', async () => {
  const spec = { template: { spec: { containers } } };
  await kubectl.ok(['create', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'tepui.dev/v1alpha1', kind: 'Framework', metadata: { name: 'scaled' }, spec }),
  });
  expect(await kubectl.ok(['scale', 'fw/scaled', '--replicas=5'])).toBe('framework.tepui.dev/scaled scaled');
  const path = '/apis/tepui.dev/v1alpha1/namespaces/default/frameworks/scaled';
  await kubectl.api.call(
    'PATCH',
    `${path}/status`,
    { status: { replicas: 4, selector: 'a=b' } },
    { 'content-type': 'application/merge-patch+json' },
  );
  const { body } = await kubectl.api.call('GET', `${path}/scale`);
  expect(body).toMatchObject({
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    spec: { replicas: 5 },
    status: { replicas: 4, selector: 'a=b' },
  });
});
