/** Programs of root with set-user-ID, wherever they come from, give a container nothing under no-new-privileges. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { nobody, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../containerizers/image.ts';
import { buildProbe, execHostile, type Options, runHostile, userNamespace } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;

describeIf(`set-user-ID programs of root (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  let directory: string;
  beforeAll(async () => {
    node = await startNode();
    directory = mkdtempSync('/var/lib/tepui-escape-');
    chmodSync(directory, 0o755);
    await plant(join(directory, 'suid'));
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true });
    await node.close();
  });

  async function plant(path: string): Promise<void> {
    copyFileSync(await buildProbe(), path);
    chownSync(path, 0, 0);
    chmodSync(path, 0o6755);
  }

  test('work outside of a container: the control', () => {
    const said = execFileSync(join(directory, 'suid'), ['identity'], {
      uid: nobody.uid,
      gid: nobody.gid,
      encoding: 'utf8',
    });
    expect(said).toMatch(/^real 65534 effective 0 group 0\nopen-shadow ok\n$/);
  });

  const powerless =
    /^real 65534 effective 65534 group 65534\nsetuid-root EPERM\nsetgid-root EPERM\nopen-shadow (EACCES|ENOENT)\n$/;
  const mounted = (): Options => ({ mounts: [{ source: directory, root: directory, target: '/m', readOnly: true }] });

  test('in a volume, for the command and for a further one', async () => {
    const { stdout } = await runHostile(node, '/m/suid identity', mounted());
    expect(stdout).toMatch(powerless);
    expect((await execHostile(node, ['/m/suid', 'identity'], mounted())).stdout).toMatch(powerless);
  });

  test('in a volume of a container with user ids of its own', async () => {
    const { stdout } = await runHostile(node, '/m/suid identity', { ...mounted(), userNamespace });
    expect(stdout).toMatch(powerless);
  });

  test('in the sandbox, where an agent or an administrator may have left one', async () => {
    const spec = node.spec({ shell: './suid identity' });
    await plant(join(spec.sandbox, 'suid'));
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec)).toMatch(powerless);
    await node.containerizer.destroy(spec.containerId);
  });

  (noImages ? test.skip : test)('in an image, with and without user ids of its own', async () => {
    const image: TestImage = busyboxImage();
    try {
      await plant(join(image.layers[0]!, 'bin/suid'));
      for (const own of [{}, { userNamespace }]) {
        const { stdout } = await runHostile(node, '/bin/suid identity', { image, ...own });
        expect(stdout).toMatch(powerless);
      }
    } finally {
      image.remove();
    }
  });
});
