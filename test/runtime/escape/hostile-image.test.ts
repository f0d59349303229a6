/** Images are made by strangers: links, devices and programs in them lead nowhere but into the image itself. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TaskContainer } from '../../../crds/types.generated.ts';
import { root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../containerizers/image.ts';
import { type Options, userNamespace } from './probe.ts';

const missing = unavailable ?? noImages;
const describeIf = missing ? describe.skip : describe;
const kinds = [
  { what: 'root', part: { user: root } },
  { what: 'root in a user namespace', part: { user: root, userNamespace } },
];

describeIf.each(kinds)(`an image run by $what (${missing ?? 'root'})`, ({ part }) => {
  let node: TestNode;
  let image: TestImage;
  let outside: string;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());
  beforeEach(() => {
    image = busyboxImage();
    outside = mkdtempSync('/var/lib/tepui-escape-');
    chmodSync(outside, 0o777);
    writeFileSync(join(outside, 'file'), 'precious');
    chmodSync(join(outside, 'file'), 0o666);
  });
  afterEach(() => {
    expect(readdirSync(outside)).toEqual(['file']);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('precious');
    expect(statSync(outside).mode & 0o7777).toBe(0o777);
    rmSync(outside, { recursive: true });
    image.remove();
  });

  /** What it wrote; undefined when it was not started. */
  async function run(
    script: string,
    container: Partial<TaskContainer> = {},
    options: Options = {},
  ): Promise<string | undefined> {
    const spec = node.spec({ shell: script, ...container }, { ...part, image, ...options });
    try {
      await node.containerizer.launch(spec);
      await node.containerizer.wait(spec.containerId);
      return node.output(spec);
    } catch {
      return undefined;
    } finally {
      await node.containerizer.destroy(spec.containerId);
    }
  }
  const inLayer = (path: string): string => join(image.layers[0]!, path);

  test('works when it is honest: the control', async () => {
    expect(await run('cat /proc/self/comm; echo x > /tmp/x && cat /tmp/x')).toBe('cat\nx\n');
  });

  for (const place of ['proc', 'sys', 'dev', 'etc', 'tmp', 'run']) {
    test.each([
      ['an absolute link', () => outside],
      ['a relative link', () => `../../../../..${outside}`],
      ['a link to "/"', () => '/'],
      ['a link to /bin', () => 'bin'],
    ])(`with %s at /${place} mounts and makes nothing on the host, and unmasks nothing`, async (_, target) => {
      symlinkSync(target(), inLayer(place));
      const said = await run(
        `for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/kcore /sys/firmware/x /proc/sys/vm/drop_caches; do
          [ -c $f ] && continue # what is masked is /dev/null
          { true >> $f; } 2>/dev/null && echo "$f written"; done
        for f in /*/sys/kernel/core_pattern /*/*/sys/kernel/core_pattern /sys/kernel/core_pattern /*/kcore /*/*/kcore /kcore; do
          [ -c "$f" ] && continue
          [ -s "$f" ] && head -c1 "$f" 2>/dev/null | grep -q . && case "$f" in *kcore) echo "$f written";; esac
          [ -e "$f" ] && { true >> "$f"; } 2>/dev/null && echo "$f written"; done; true`,
        { security: { readOnlyRootFilesystem: false } },
      );
      expect((said ?? '').split('\n').filter((line) => line.includes('written'))).toEqual([]);
      // A link inside of the image may hold what belongs there; the image's own files stay as they are.
      expect(existsSync(inLayer('bin/busybox'))).toBe(true);
    });
  }

  test('with links at the places of volumes, of its working directory and of name resolution files makes nothing on the host', async () => {
    mkdirSync(inLayer('etc'));
    for (const name of ['hosts', 'resolv.conf', 'hostname'])
      symlinkSync(`../../../../..${outside}/file`, inLayer(`etc/${name}`));
    for (const name of ['data', 'work', 'var', 'mnt']) symlinkSync(outside, inLayer(name));
    const files = mkdtempSync('/var/lib/tepui-escape-');
    chmodSync(files, 0o777);
    const hosts = join(files, 'hosts');
    writeFileSync(hosts, 'ours');
    const mounts = [{ source: files, root: files, target: '/data/deep', readOnly: false }];
    await run(
      'echo owned > /data/deep/x; echo owned > ./x; echo owned > /etc/hosts; true',
      { workingDir: '/work/deep' },
      { mounts, network: { files: { hosts, resolvConf: hosts, hostname: hosts } } },
    );
    rmSync(files, { recursive: true });
  });

  test('with device files in its layers opens no device', async () => {
    const { rdev } = statSync('/dev/zero');
    execFileSync('mknod', ['-m', '666', inLayer('zero'), 'c', String(rdev >> 8), String(rdev & 255)]);
    execFileSync('mknod', ['-m', '666', inLayer('disk'), 'b', '7', '0']);
    expect(await run('for d in /zero /disk; do head -c1 $d >/dev/null 2>&1 && echo "opened $d"; done; true')).toBe('');
  });

  test('cannot change its own layers, nor what another container of the image sees', async () => {
    const before = readFileSync(inLayer('bin/busybox'));
    const writable = { security: { readOnlyRootFilesystem: false } };
    const script =
      'rm /bin/ls; echo owned > /bin/cat; echo owned >> /bin/busybox; chmod 777 /bin; echo x > /new; ls / 2>&1; true';
    await run(script, writable);
    expect(readFileSync(inLayer('bin/busybox')).equals(before)).toBe(true);
    expect(existsSync(inLayer('new'))).toBe(false);
    expect(existsSync(inLayer('bin/ls'))).toBe(true);
    expect(statSync(inLayer('bin')).mode & 0o7777).toBe(0o755);
    expect(await run('ls /new 2>/dev/null; ls -d /bin/ls', writable)).toBe('/bin/ls\n');
  });

  test('whose root is read-only, as by default, cannot be written to', async () => {
    expect(
      await run(
        'for d in / /bin /etc /proc /sys /dev/pts; do ( echo x > $d/new ) 2>/dev/null && echo "$d written"; done; true',
      ),
    ).toBe('');
  });

  test('sees nothing of the host but what every container does', async () => {
    const said = await run(
      `ls -d ${outside} ${node.dataDir}/agent/containers /var/lib/dpkg /usr/bin/env /boot /home 2>/dev/null; cut -d' ' -f5 /proc/self/mountinfo`,
    );
    const lines = (said ?? '').trim().split('\n');
    expect(
      lines.filter(
        (line) =>
          !/^\/(proc|sys|dev|tmp|run|etc|var\/tmp|mnt|sandbox)?(\/|$)/.test(line) && !line.startsWith(node.dataDir),
      ),
    ).toEqual([]);
  });
});
