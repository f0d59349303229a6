import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { busyboxImage, noImages, type TestImage } from '../containerizers/image.ts';
import { execHostile, expectRefused, type Options, runHostile, variants } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;

const possible = variants.filter(({ image }) => !image || !noImages);

describeIf.each(possible)(
  `a container of $what cannot reach the kernel (${unavailable ?? 'root'})`,
  ({ image, part }) => {
    let node: TestNode;
    let busybox: TestImage | undefined;
    let options: Options;
    beforeAll(async () => {
      node = await startNode();
      if (image) busybox = busyboxImage();
      options = { ...part, ...(busybox && { image: busybox }) };
    });
    afterAll(async () => {
      await node.close();
      busybox?.remove();
    });

    /** Tries to write to each path, without changing anything where that succeeds: opening is enough. */
    const openForWriting = async (paths: string[]) =>
      runHostile(
        node,
        `for f in ${paths.join(' ')}; do
        for found in $f; do
          if [ -e "$found" ] && { true >> "$found"; } 2>/dev/null; then echo "$found written"; fi
        done
      done; true`,
        options,
      );

    test('by system calls for namespaces, mounts, modules, tracing, keys, time, devices and more', async () => {
      expectRefused(await runHostile(node, './probe syscalls', options), 80);
    });

    test('by the same system calls in a further command of the container', async () => {
      expectRefused(await execHostile(node, ['./probe', 'syscalls'], options), 80);
    });

    test('by writing to /proc/sys, /proc/sysrq-trigger or any other file of /proc that is the machine’s', async () => {
      const { stdout } = await openForWriting([
        '/proc/sys/kernel/core_pattern',
        '/proc/sys/kernel/modprobe',
        '/proc/sys/kernel/hotplug',
        '/proc/sys/vm/*',
        '/proc/sys/kernel/*',
        '/proc/sys/fs/binfmt_misc/*',
        '/proc/sys/net/ipv4/ip_forward',
        '/proc/sysrq-trigger',
        '/proc/irq/*/smp_affinity',
        '/proc/bus/pci/*/*',
        '/proc/acpi/*',
        '/proc/scsi/scsi',
        '/proc/fs/*/*',
        '/proc/kmsg',
        '/proc/mtrr',
        '/proc/1/mem',
        '/proc/1/oom_score_adj',
      ]);
      expect(stdout.replace('/proc/1/oom_score_adj written\n', '')).toBe('');
    });

    test('by writing to /sys', async () => {
      const { stdout } = await runHostile(
        node,
        `find /sys -xdev -type f -perm /222 2>/dev/null | head -3000 | while read -r f; do
        if { true >> "$f"; } 2>/dev/null; then echo "$f written"; fi
      done; mkdir /sys/fs/cgroup/made /sys/kernel/debug/made 2>/dev/null && echo made; true`,
        options,
      );
      expect(stdout).toBe('');
    });

    test('by writing to cgroup files, its own or the release_agent', async () => {
      const { stdout } = await runHostile(
        node,
        `find /sys/fs/cgroup -type f -perm /222 2>/dev/null | while read -r f; do
        if { true >> "$f"; } 2>/dev/null; then echo "$f written"; fi
      done
      find /sys /dev /run /tmp /mnt /var/tmp -name release_agent 2>/dev/null
      for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/made 2>/dev/null && echo "made $d"; done
      cat /proc/self/cgroup | cut -d: -f3 | sort -u`,
        options,
      );
      // In its own cgroup namespace it is at the root, and sees nothing above.
      expect(stdout.trim().split('\n')).toEqual(expect.arrayContaining(['/']));
      expect(stdout.split('\n').filter((line) => /written|release_agent|made|\.\./.test(line))).toEqual([]);
    });

    test('by reading its memory or messages', async () => {
      const { stdout } = await runHostile(
        node,
        `for f in /proc/kcore /proc/kmsg /proc/keys /proc/timer_list /proc/sched_debug /sys/firmware/* /dev/mem /dev/kmem /dev/kmsg /dev/port; do
        if head -c1 "$f" 2>/dev/null | grep -q .; then echo "read $f"; fi
      done; dmesg >/dev/null 2>&1 && echo dmesg; true`,
        options,
      );
      expect(stdout).toBe('');
    });

    test('by devices other than the usual ones', async () => {
      const { stdout } = await runHostile(
        node,
        `find / -xdev \\( -type b -o -type c \\) 2>/dev/null | sort
      for d in /dev/sda /dev/vda /dev/vda1 /dev/nvme0n1 /dev/loop-control /dev/loop0 /dev/kvm /dev/fuse /dev/net/tun /dev/mem /dev/console /dev/tty0; do
        ( exec 9<"$d" ) 2>/dev/null && echo "opened $d"
      done; find /dev \\( -type b -o -type c \\) ! -path '/dev/pts/*' | sort | tr '\\n' ' '`,
        options,
      );
      expect(stdout).toBe('/dev/full /dev/null /dev/random /dev/tty /dev/urandom /dev/zero ');
    });

    test('by a core dump: what catches those of the host is not changed, and runs nothing of the container', async () => {
      const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
      const script = `ulimit -c unlimited; echo '|/bin/touch /tmp/owned' > /proc/sys/kernel/core_pattern; ./probe crash; true`;
      const { stdout, stderr } = await runHostile(node, script, options);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/Read-only file system|Permission denied/);
      expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before);
    });
  },
);
