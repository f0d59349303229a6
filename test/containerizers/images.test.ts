import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { root, type TestNode } from '../runtime/containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../runtime/containerizers/image.ts';
import { stopTargets, targets } from './targets.ts';

afterAll(stopTargets);

/** The Docker Engine has images of its own: what the other suites run there is one. */
const withOurImages = targets.filter(({ runsImagesOnly }) => !runsImagesOnly);

describe.each(withOurImages)('a container with an image: $name', (target) => {
  const problem = target.problem ?? noImages;
  const testIf = problem ? test.skip : test;
  let node: TestNode;
  let image: TestImage;
  beforeAll(async () => {
    if (problem) process.stderr.write(`${target.name} skipped: ${problem}\n`);
    else node = await target.start();
  });
  beforeEach(() => {
    if (!problem) image = busyboxImage();
  });
  afterEach(() => image?.remove());
  afterAll(() => node?.close());

  testIf('sees the image and nothing of the host, and starts in its sandbox', async () => {
    const { stdout, stderr } = await node.run({ shell: 'pwd; ls / | tr "\\n" " "; ls /usr 2>/dev/null' }, { image });
    expect(stderr).toBe('');
    expect(stdout.split('\n')[0]).toBe('/mnt/tepui/sandbox');
    expect(stdout.split('\n')[1]?.trim().split(' ')).toEqual(['bin', 'dev', 'etc', 'mnt', 'proc', 'sys', 'tmp']);
  });

  testIf('cannot write to a read-only root; /tmp and the sandbox are writable', async () => {
    const spec = node.spec(
      {
        shell:
          'for d in / /bin /etc /sys; do touch $d/x 2>/dev/null && echo BAD $d; done; touch /tmp/x kept && echo ok',
      },
      { image, user: root },
    );
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec)).toBe('ok\n');
    expect(readdirSync(spec.sandbox)).toContain('kept');
    await node.containerizer.destroy(spec.containerId);
  });

  testIf('changes of a writable root go with the container, and never into the layers', async () => {
    const layer = image.layer({ 'etc/motd': 'old' });
    const { stdout } = await node.run(
      {
        shell: 'echo new > /etc/motd && cat /etc/motd && touch /bin/more',
        security: { readOnlyRootFilesystem: false },
      },
      { image, user: root },
    );
    expect(stdout).toBe('new\n');
    expect(readdirSync(join(layer, 'etc'))).toEqual(['motd']);
    expect(readdirSync(image.layers.at(-1)!)).toEqual(['bin']);
    expect(readdirSync(join(node.dataDir, 'agent/rootfs'))).toEqual([]);
  });

  testIf('shows its uppermost layer first', async () => {
    for (let level = 0; level < 20; level++) image.layer({ 'etc/level': String(level) });
    expect((await node.run({ shell: 'cat /etc/level' }, { image })).stdout).toBe('19');
  });

  testIf('runs a further command in it', async () => {
    const spec = node.spec({ shell: 'while :; do sleep 1; done' }, { image });
    await node.containerizer.launch(spec);
    const session = await node.containerizer.exec({
      containerId: spec.containerId,
      argv: ['sh', '-c', 'test -e /usr || exit 5'],
      tty: false,
      stdin: false,
    });
    session.stdout.resume();
    session.stderr?.resume();
    expect(await session.exit).toMatchObject({ exitCode: 5 });
    await node.containerizer.destroy(spec.containerId);
  });
});
