/** On a file system with project quota nobody takes files out of a project, or puts them into another, except in a user namespace by the kernel's rules. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { nobody, root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { execHostile, expectRefused, type Options, probeSpec, runHostile } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;

describeIf(`the projects of a disk quota (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  const read = /^open ok\nget-flags ok\nget-project ok\n/;
  /** Attempts, after what may be read. */
  const attempts = ({ stdout, stderr }: { stdout: string; stderr: string }) => {
    expect(stdout).toMatch(read);
    return { stdout: stdout.replace(read, ''), stderr };
  };

  test('can be set by the owner of a file where there is none: the control', async () => {
    const { stdout } = attempts(await runHostile(node, './probe projects'));
    expect(stdout).toMatch(/^(set-(flags|project)-\d ok\n){6}/);
  });

  test.each([
    ['nobody', { user: nobody }],
    ['root', { user: root }],
  ])('are kept by a filter, whatever is in the upper half of the request: %s', async (_who, user) => {
    const options: Options = { ...user, onProjectQuota: true };
    expectRefused(attempts(await runHostile(node, './probe projects', options)), 7);
    expectRefused(attempts(await execHostile(node, ['./probe', 'projects'], options)), 7);
  });

  test('are kept by it also in a profile of the operator that allows everything', async () => {
    const directory = join(node.dataDir, 'agent/seccomp');
    mkdirSync(directory, { recursive: true });
    const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['ioctl'], action: 'SCMP_ACT_ALLOW' }] };
    writeFileSync(join(directory, 'open.json'), JSON.stringify(profile));
    const security = { seccompProfile: { type: 'Localhost' as const, localhostProfile: 'open.json' } };
    const spec = await probeSpec(node, { shell: './probe projects', security }, { onProjectQuota: true });
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    expectRefused(attempts({ stdout: node.output(spec), stderr: node.output(spec, 'stderr') }), 7);
    await node.containerizer.destroy(spec.containerId);
  });
});
