/** Attempts of a container, whose operator even gave it CAP_MKNOD, to get at devices that are not its own. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SLOW } from '../../setup/slow.ts';
import { root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';

const describeIf = unavailable ? describe.skip : describe;
/** What every container may open: memory devices and terminals. */
const usual = ['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:2'];

describeIf(`a container with CAP_MKNOD cannot reach devices (${unavailable ?? 'root'})`, () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
    node.isolation.boundingCapabilities = ['MKNOD', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SYS_ADMIN'];
  });
  afterAll(() => node.close());
  const mknod = { security: { capabilities: { effective: ['MKNOD' as const] } } };

  // An emulated machine makes fewer attempts.
  const isSlow = SLOW > 1;
  const minors = isSlow ? 5 : 16;
  const majors = isSlow
    ? [1, 5, 7, 8, 10, 254]
    : [
        ...Array(13)
          .keys()
          .map((major) => major + 1),
        29,
        43,
        81,
        89,
        108,
        116,
        161,
        180,
        188,
        195,
        226,
        241,
        250,
        251,
        252,
        253,
        254,
        259,
      ];
  /** Makes and opens every node of some majors, in /dev, where devices work. */
  const tryAll = `for type in c b; do
      for major in ${majors.join(' ')}; do
        minor=0
        while [ $minor -lt ${minors} ]; do
          if mknod /dev/x $type $major $minor 2>&-; then
            (: < /dev/x) 2>&- && echo "read $type $major:$minor"
            (: > /dev/x) 2>&- && echo "write $type $major:$minor"
            echo "made $type $major:$minor"
            rm /dev/x
          fi
          minor=$((minor + 1))
        done
      done
    done`;

  test('by making nodes of any number in its /dev and opening them', async () => {
    const { stdout } = await node.run({ shell: tryAll, ...mknod }, { user: root });
    const got = new Set(stdout.split('\n').flatMap((line) => line.split(' ').slice(1).join(' ') || []));
    expect([...got].filter((device) => !usual.some((number) => device === `c ${number}`))).toEqual([]);
    // It was a real attempt: the usual ones can be made again.
    expect(stdout).toContain('made c 1:3');
  });

  test('by the nodes of another container that may, through /proc', async () => {
    const spec = node.spec(
      { command: ['sleep', '60'] },
      { user: root, devices: [{ path: '/dev/given', type: 'c', major: 10, minor: 229, permissions: 'rw' }] },
    );
    await node.containerizer.launch(spec);
    const { stdout } = await node.run(
      {
        shell:
          'ls /proc | grep -c "^[0-9]"; for p in /proc/[0-9]*; do (: < $p/root/dev/given) 2>&- && echo got; done; echo end',
        ...mknod,
      },
      { user: root },
    );
    await node.containerizer.destroy(spec.containerId);
    expect(stdout).not.toContain('got');
  });

  test('by leaving its cgroup, or changing the rules, even with CAP_SYS_ADMIN', async () => {
    const { stdout } = await node.run(
      {
        shell: `for f in /sys/fs/cgroup/devices.allow /sys/fs/cgroup/devices/devices.allow; do (echo a > $f) 2>&- && echo "$f written"; done
          mkdir /tmp/c && mount -t cgroup -o devices none /tmp/c 2>&- && (echo a > /tmp/c/devices.allow) 2>&- && echo allowed
          mknod /dev/x b 254 0 2>&- && echo made; (: < /dev/x) 2>&- && echo opened; echo end`,
        security: { capabilities: { effective: ['MKNOD', 'SYS_ADMIN', 'DAC_OVERRIDE'] } },
      },
      { user: root },
    );
    expect(stdout.trim()).toBe('end');
  });

  test('by nodes that it leaves on the host’s disk: it can make none but the usual ones', async () => {
    const { stdout } = await node.run(
      { shell: 'mknod disk b 254 0 2>&1 | sed "s/.*: //"; mknod kmem c 1 2 2>&1 | sed "s/.*: //"', ...mknod },
      { user: root },
    );
    expect(stdout).toBe('Operation not permitted\nOperation not permitted\n');
    expect(existsSync(`${node.dataDir}/disk`)).toBe(false);
  });
});
