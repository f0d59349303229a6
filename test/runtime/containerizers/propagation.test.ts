import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ContainerMount } from '../../../runtime/containerizers/containerizer.ts';
import { mountsBelow } from '../../../runtime/volumes/mounts.ts';
import { eventually, root, startNode, type TestNode, unavailable } from './harness.ts';

const describeIf = unavailable ? describe.skip : describe;
const mount = (...argv: string[]) => execFileSync('mount', argv);

describeIf(`mounts that are made while a container runs (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  let shared: string;
  beforeAll(async () => {
    node = await startNode();
    node.isolation.allowPrivileged = true;
  });
  afterAll(() => node.close());
  beforeEach(() => {
    shared = mkdtempSync('/var/lib/tepui-shared-');
    mount('-t', 'tmpfs', 'tepui-test', shared);
    mount('--make-shared', shared);
    for (const name of ['later', 'back']) mkdirSync(join(shared, name));
  });
  afterEach(async () => {
    for (const { path } of (await mountsBelow(shared)).toReversed()) execFileSync('umount', [path]);
    rmSync(shared, { recursive: true });
  });
  const at = (propagation?: ContainerMount['propagation']): { mounts: ContainerMount[] } => ({
    mounts: [{ source: shared, root: shared, target: '/m', readOnly: false, ...(propagation && { propagation }) }],
  });
  const untilSaid = (spec: ReturnType<TestNode['spec']>, text: string) =>
    eventually(() => node.output(spec).includes(text), `"${text}" in the output`);
  /** Says `seen` when the host's later mount appears, and `unseen` when it is told to give up. */
  const looks =
    'echo ready; until [ -e /m/stop ]; do [ -e /m/later/file ] && echo seen && exit; sleep 0.05; done; echo unseen';

  async function mountLater(propagation?: ContainerMount['propagation']): Promise<string> {
    const spec = node.spec({ shell: looks }, at(propagation));
    await node.containerizer.launch(spec);
    await untilSaid(spec, 'ready');
    mount('-t', 'tmpfs', 'tepui-test', join(shared, 'later'));
    writeFileSync(join(shared, 'later/file'), '');
    if (propagation === undefined) writeFileSync(join(shared, 'stop'), '');
    await node.containerizer.wait(spec.containerId);
    const output = node.output(spec);
    await node.containerizer.destroy(spec.containerId);
    return output;
  }

  test('on the host are not seen without propagation', async () => {
    expect(await mountLater()).toBe('ready\nunseen\n');
  });

  test('on the host are seen with HostToContainer', async () => {
    expect(await mountLater('HostToContainer')).toBe('ready\nseen\n');
  });

  test('in the container stay there with HostToContainer', async () => {
    const result = await node.run(
      { shell: 'mount -t tmpfs inside /m/back && touch /m/back/file && ls /m/back', security: { privileged: true } },
      { ...at('HostToContainer'), user: root },
    );
    expect(result).toMatchObject({ stdout: 'file\n', termination: { exitCode: 0 } });
    expect(existsSync(join(shared, 'back/file'))).toBe(false);
    expect(await mountsBelow(shared)).toHaveLength(1);
  });

  test('in a privileged container reach the host with Bidirectional, and those of the host the container', async () => {
    const spec = node.spec(
      { shell: `mount -t tmpfs inside /m/back && touch /m/back/file && ${looks}`, security: { privileged: true } },
      { ...at('Bidirectional'), user: root },
    );
    await node.containerizer.launch(spec);
    await untilSaid(spec, 'ready');
    expect(existsSync(join(shared, 'back/file'))).toBe(true);
    mount('-t', 'tmpfs', 'tepui-test', join(shared, 'later'));
    writeFileSync(join(shared, 'later/file'), '');
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec)).toBe('ready\nseen\n');
    await node.containerizer.destroy(spec.containerId);
    // It is the container's own doing, and is there as long as somebody takes it away.
    expect(await mountsBelow(shared)).toHaveLength(3);
  });

  test('device files of a volume work in a privileged container only', async () => {
    execFileSync('mknod', ['-m', '666', join(shared, 'null'), 'c', '1', '3']);
    const device = { mounts: [{ source: join(shared, 'null'), root: shared, target: '/m', readOnly: false }] };
    const shell = 'echo x > /m && echo written';
    expect((await node.run({ shell }, { ...device, user: root })).stdout).toBe('');
    const privileged = await node.run({ shell, security: { privileged: true } }, { ...device, user: root });
    expect(privileged.stdout).toBe('written\n');
  });
});
