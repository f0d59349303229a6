import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { nobody, root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../containerizers/image.ts';

const why = unavailable ?? noImages;
const describeIf = why ? describe.skip : describe;

describeIf(`the file system of a container with an image (${why ?? 'root, busybox-static'})`, () => {
  let node: TestNode;
  let image: TestImage;
  let scratch: string;
  beforeAll(async () => {
    node = await startNode();
  });
  beforeEach(() => {
    image = busyboxImage();
    scratch = mkdtempSync('/var/lib/tepui-scratch-');
  });
  afterEach(() => {
    image.remove();
    rmSync(scratch, { recursive: true });
  });
  afterAll(() => node.close());

  const written = () => readdirSync(join(image.layers.at(-1)!)).sort();

  test('is the image and nothing of the host', async () => {
    const { stdout, stderr } = await node.run(
      { shell: 'ls /; ls /usr /var/lib 2>/dev/null; cat /proc/self/mounts' },
      { image },
    );
    expect(stderr).toBe('');
    expect(stdout.split('\n').slice(0, 7)).toEqual(['bin', 'dev', 'etc', 'mnt', 'proc', 'sys', 'tmp']);
    expect(stdout).not.toContain(node.dataDir);
    expect(stdout).not.toContain('/usr');
  });

  test('is read-only but for /tmp, /dev/shm and the sandbox, which is where it starts', async () => {
    const script = `pwd; for d in / /bin /etc /mnt /mnt/tepui /sys /proc/sys; do touch $d/written 2>/dev/null && echo "written $d"; done
      for d in . /tmp /dev/shm /mnt/mesos/sandbox; do touch $d/written || echo "refused $d"; done`;
    const spec = node.spec({ shell: script }, { image, user: root });
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec) + node.output(spec, 'stderr')).toBe('/mnt/tepui/sandbox\n');
    expect(readdirSync(spec.sandbox)).toContain('written');
    await node.containerizer.destroy(spec.containerId);
    expect(written()).toEqual(['bin']);
  });

  test('shows the uppermost layer first, also with a hundred of them', async () => {
    for (let i = 0; i < 100; i++) image.layer({ 'etc/level': String(i), [`etc/only-${i}`]: '' });
    const { stdout, stderr } = await node.run({ shell: 'cat /etc/level; echo; ls /etc | grep -c only' }, { image });
    expect(stderr).toBe('');
    expect(stdout).toBe('99\n100\n');
  });

  test('with readOnlyRootFilesystem false takes changes, which go with the container and never into the layers', async () => {
    image.layer({ 'etc/motd': 'old', tmp: null });
    const spec = node.spec(
      {
        shell: 'echo new >/etc/motd; touch /bin/more /tmp/x; rm /bin/ls; cat /etc/motd; test -e /bin/ls || echo gone',
        security: { readOnlyRootFilesystem: false },
      },
      { image, user: root },
    );
    await node.containerizer.launch(spec);
    await node.containerizer.wait(spec.containerId);
    expect(node.output(spec)).toBe('new\ngone\n');
    expect(readdirSync(join(node.dataDir, 'agent/rootfs'))).toEqual([spec.containerId]);
    await node.containerizer.destroy(spec.containerId);
    expect(readdirSync(join(node.dataDir, 'agent/rootfs'))).toEqual([]);
    expect(readFileSync(join(image.layers[0]!, 'etc/motd'), 'utf8')).toBe('old');
  });

  test('has name resolution of the host, in place of links that the image has there', async () => {
    const layer = image.layer({ etc: null });
    symlinkSync('../run/resolve/stub.conf', join(layer, 'etc/resolv.conf'));
    const { stdout, stderr } = await node.run({ shell: 'cat /etc/resolv.conf; cat /etc/hosts' }, { image });
    expect(stderr).toBe('');
    expect(stdout).toBe(readFileSync('/etc/resolv.conf', 'utf8') + readFileSync('/etc/hosts', 'utf8'));
  });

  test("shows the files of the task's network, read-only", async () => {
    const files = {
      hosts: join(scratch, 'hosts'),
      resolvConf: join(scratch, 'resolv'),
      hostname: join(scratch, 'name'),
    };
    for (const [name, path] of Object.entries(files)) writeFileSync(path, `${name}\n`);
    const script = 'cat /etc/hosts /etc/resolv.conf /etc/hostname; echo x >/etc/hosts';
    for (const part of [{ image }, {}]) {
      const { stdout, stderr } = await node.run({ shell: script }, { ...part, network: { files }, user: root });
      expect(stdout).toBe('hosts\nresolvConf\nhostname\n');
      expect(stderr).toMatch(/Read-only/);
    }
  });

  test('takes volumes at any path, made where the image has none, in the sandbox too', async () => {
    mkdirSync(join(scratch, 'data'));
    writeFileSync(join(scratch, 'file'), 'file\n');
    const mounts = [
      { source: join(scratch, 'data'), target: '/var/data/deep', readOnly: false },
      { source: join(scratch, 'file'), target: '/opt/conf/file', readOnly: true },
      { source: join(scratch, 'data'), target: 'inside', readOnly: true },
    ];
    const { stdout, stderr } = await node.run(
      { shell: 'touch /var/data/deep/x; cat /opt/conf/file; ls inside; touch inside/y' },
      { image, mounts, user: root },
    );
    expect(stdout).toBe('file\nx\n');
    expect(stderr).toMatch(/inside\/y: Read-only/);
    expect(readdirSync(join(scratch, 'data'))).toEqual(['x']);
    expect(written()).toEqual(['bin']);
  });

  test('takes another image as a volume, of one layer or of several', async () => {
    const other = busyboxImage();
    other.layers = [other.layer({ a: 'one' })];
    const single = { type: 'overlay' as const, source: other.layers.join(':'), target: '/data', readOnly: true };
    other.layer({ b: 'two' });
    const double = { ...single, source: other.layers.join(':') };
    const results = [];
    for (const mount of [single, double])
      results.push(
        (await node.run({ shell: 'cat /data/*; touch /data/x' }, { image, mounts: [mount], user: root })).stdout,
      );
    other.remove();
    expect(results).toEqual(['one', 'onetwo']);
  });

  test('makes the working directory that the image names', async () => {
    const { stdout } = await node.run({ command: ['pwd'] }, { image, workingDirectory: '/srv/app' });
    expect(stdout).toBe('/srv/app\n');
  });

  test('executes what the agent put together of entrypoint and command', async () => {
    const { stdout } = await node.run({}, { image, argv: ['echo', 'from', 'entrypoint'] });
    expect(stdout).toBe('from entrypoint\n');
  });

  test('cannot move /proc or /sys away from what is masked in them', async () => {
    const layer = image.layer({ 'decoy/kcore': 'x' });
    symlinkSync('/decoy', join(layer, 'proc'));
    await expect(node.run({ command: ['true'] }, { image })).rejects.toThrow(/mount point \/proc/);
  });

  test('is entered by exec', async () => {
    const spec = node.spec({ command: ['sleep', '100'] }, { image, user: nobody });
    await node.containerizer.launch(spec);
    const session = await node.containerizer.exec({
      containerId: spec.containerId,
      argv: ['sh', '-c', 'pwd; ls /usr; id -u'],
      tty: false,
      stdin: false,
    });
    let text = '';
    for await (const chunk of session.stdout) text += chunk;
    await session.exit;
    await node.containerizer.destroy(spec.containerId);
    expect(text).toBe('/mnt/tepui/sandbox\n65534\n');
  });
});
