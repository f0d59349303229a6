import { readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LaunchFailed } from '../../../runtime/launcher/client.ts';
import { RLIMIT_UNLIMITED } from '../../../runtime/launcher/operations.ts';
import { SLOW } from '../../setup/slow.ts';
import { type Bed, eventually, exists, makeBed, makeCgroup, processesWith } from './harness.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await makeBed();
});
afterAll(() => bed.close());

const sh = (script: string): string[] => ['sh', '-c', script];

describe('what becomes of a command', () => {
  test('its exit code is told, and is in the exit record before', async () => {
    const request = await bed.request(sh('exit 42'));
    await bed.launcher.launch(request);
    const record = await bed.exit(request.containerId);
    expect(record).toMatchObject({ containerId: request.containerId, exitCode: 42 });
    expect(Math.abs(record.finishedAtMs - Date.now())).toBeLessThan(5000 * SLOW);
    expect(JSON.parse(await readFile(request.exitRecord, 'utf8'))).toEqual(record);
  });

  test('the signal that killed it is told', async () => {
    const request = await bed.request(['sleep', '100']);
    await bed.launcher.launch(request);
    expect(await bed.launcher.signal(request.containerId, 9)).toBeGreaterThan(0);
    expect(await bed.exit(request.containerId)).toMatchObject({ signal: 9 });
  });

  test.each([false, true])(
    'with init %s a command that dies by its own signal is told so, or as 128+n by pid 1 that it killed',
    async (init) => {
      const { record } = await bed.run(sh('sh -c "kill -SEGV \\$\\$"; kill -s KILL $$; exit 9'), { init });
      expect(record).toMatchObject(init ? { signal: 9 } : { exitCode: 9 });
    },
  );

  test('output goes to the log files, which belong to the user and are not executable', async () => {
    const sink = { maxBytes: 0, maxFiles: 0, uid: 1234, gid: 1234 };
    const request = await bed.request(sh('echo out; echo err >&2'));
    request.stdout = { ...sink, path: request.stdout.path };
    request.stderr = { ...sink, path: request.stderr.path };
    await bed.launcher.launch(request);
    await bed.exit(request.containerId);
    expect(await readFile(request.stdout.path, 'utf8')).toBe('out\n');
    expect(await readFile(request.stderr.path, 'utf8')).toBe('err\n');
    expect(await stat(request.stdout.path)).toMatchObject({ uid: 1234, gid: 1234, mode: 0o100644 });
  });

  test('nothing of the launcher is left after the end: no process, no state file', async () => {
    const request = await bed.request(['true']);
    const gone = new Promise<void>((resolve) => {
      bed.launcher.on('gone', (containerId) => containerId === request.containerId && resolve());
    });
    await bed.launcher.launch(request);
    await gone;
    expect((await bed.launcher.list()).map((entry) => entry.containerId)).not.toContain(request.containerId);
    expect(await exists(`${bed.dir}/run/containers/${request.containerId}`)).toBe(false);
  });
});

describe('the container', () => {
  test('has no descriptor but its three, whatever the launcher has open', async () => {
    const { stdout } = await bed.run(sh('ls -l /proc/self/fd; ls /proc/1/fd'));
    expect(stdout.match(/-> /g)).toHaveLength(4); // the fourth is what ls reads the directory with
    expect(stdout).toMatch(/0 -> \/dev\/null/);
    expect(stdout.trim().split('\n').slice(-3)).toEqual(['0', '1', '2']);
  });

  test('has no descriptor left in its init either', async () => {
    const { stdout } = await bed.run(
      sh(
        'ls -l /proc/self/fd; cat /proc/1/comm; tr "\\0" " " </proc/1/cmdline; ls -l /proc/1/fd 2>&1; cat /proc/1/exe >/dev/null && echo readable',
      ),
      { init: true },
    );
    expect(stdout).toContain('tepui-init\ntepui-init ');
    expect(stdout).not.toContain(bed.dir);
  });

  test('sees only itself', async () => {
    const { stdout } = await bed.run(
      sh(
        'echo $$; hostname; ls -d /proc/[0-9]* | wc -l; cat /proc/net/dev | grep -c :; cat /proc/self/oom_score_adj; umask',
      ),
    );
    expect(stdout.split('\n').slice(0, 6)).toEqual([
      '1',
      'box',
      expect.stringMatching(/^[234]$/),
      expect.stringMatching(/^[1-9]$/),
      '0',
      '0022',
    ]);
  });

  test('has a cgroup namespace whose root is its own cgroup', async () => {
    const cgroup = await makeCgroup();
    try {
      const request = await bed.request(sh('cat /proc/self/cgroup'));
      request.operations.unshift(...cgroup.operations);
      const { stdout } = await bed.run(request.argv, {
        ...request,
        ...(cgroup.cloneIntoCgroup && { cloneIntoCgroup: cgroup.cloneIntoCgroup }),
      });
      expect(stdout).not.toContain('tepui');
      expect(stdout).toMatch(cgroup.v2 ? /^0::\/$/m : /:memory:\/$/m);
    } finally {
      await cgroup.remove();
    }
  });

  test('has its masks, read-only paths and working directory', async () => {
    const request = await bed.request(
      sh(
        'pwd; wc -c </proc/version; ls /sys/kernel | wc -l; ls /sys/fs | wc -l; echo x >/proc/sys/kernel/hostname || echo refused; touch /root/x || echo refused',
      ),
    );
    const masks = ['/proc/version', '/sys/kernel', '/sys/fs', '/sys/missing/path'].map((path) => ({
      op: 'mask' as const,
      path,
    }));
    request.operations.splice(-3, 0, ...masks);
    request.operations.push({ op: 'workingDirectory', path: '/usr' });
    const { stdout } = await bed.run(request.argv, request);
    expect(stdout).toBe('/usr\n0\n0\n0\nrefused\nrefused\n');
  });

  test('makes directories, files, nodes and symlinks as told', async () => {
    const request = await bed.request(
      sh(
        'stat -c "%a %u %g %n" /tmp/a /tmp/a/b /tmp/a/b/c /tmp/f; cat /tmp/f; readlink /tmp/l; test -c /dev/null && echo node',
      ),
    );
    request.operations.push(
      { op: 'mkdir', path: '/tmp/a/b/c', mode: 0o2770, uid: 5, gid: 6 },
      { op: 'createFile', path: '/tmp/f', mode: 0o640, content: 'old' },
      { op: 'createFile', path: '/tmp/f', mode: 0o604, content: 'new\n' },
      { op: 'createFile', path: '/tmp/f', mode: 0o600 },
      { op: 'symlink', target: 'f', path: '/tmp/l' },
    );
    const { stdout } = await bed.run(request.argv, request);
    expect(stdout).toBe('755 0 0 /tmp/a\n755 0 0 /tmp/a/b\n2770 5 6 /tmp/a/b/c\n604 0 0 /tmp/f\nnew\nf\nnode\n');
  });

  test('runs as its user with just its capabilities, and can open /dev/stdout again', async () => {
    const request = await bed.request(
      sh('id -u; id -g; id -G; echo again >/dev/stdout; grep -E "^(Cap|NoNew)" /proc/self/status | tr -d "\\t"'),
    );
    request.operations.push(
      { op: 'user', uid: 1234, gid: 1235, groups: [1235, 7] },
      { op: 'capabilities', bounding: [0, 10], effective: [10], permitted: [10], inheritable: [10], ambient: [10] },
      { op: 'noNewPrivileges' },
    );
    const { stdout } = await bed.run(request.argv, request);
    const caps = [
      'CapInh:0000000000000400',
      'CapPrm:0000000000000400',
      'CapEff:0000000000000400',
      'CapBnd:0000000000000401',
      'CapAmb:0000000000000400',
    ];
    expect(stdout.trim().split('\n')).toEqual(['1234', '1235', '1235 7', 'again', ...caps, 'NoNewPrivs:1']);
  });

  test('has its resource limits and umask', async () => {
    const request = await bed.request(sh('ulimit -n; ulimit -c; umask'));
    request.operations.push(
      { op: 'rlimit', resource: 7, soft: 100n, hard: 200n },
      { op: 'rlimit', resource: 4, soft: 0n, hard: 0n },
    );
    request.operations.push({ op: 'umask', mask: 0o77 });
    expect((await bed.run(request.argv, request)).stdout).toBe('100\n0\n0077\n');
    request.operations.push({ op: 'rlimit', resource: 7, soft: RLIMIT_UNLIMITED, hard: RLIMIT_UNLIMITED });
    const again = { ...request, containerId: `${request.containerId}b`, exitRecord: `${request.exitRecord}b` };
    await expect(bed.run(request.argv, again)).rejects.toThrow(/CAP_SYS_RESOURCE/);
  });

  test('is not ended by a symlink that leads out of its root', async () => {
    const request = await bed.request(sh('cat /tmp/x/y; ls /tmp/x'));
    request.operations.splice(
      -3,
      0,
      { op: 'symlink', target: '../../../../../../../../tmp', path: '/tmp/x' },
      { op: 'createFile', path: '/tmp/x/y', mode: 0o644, content: 'inside\n' },
    );
    const { stdout } = await bed.run(request.argv, request);
    expect(stdout).toContain('inside\n');
    expect(await exists('/tmp/y')).toBe(false);
  });

  test('binds a source below its root only: a symlink in it leads nowhere else', async () => {
    const request = await bed.request(sh('ls /mnt'));
    const trap = `${bed.dir}/${request.containerId}/trap`;
    const { mkdir, symlink } = await import('node:fs/promises');
    await mkdir(`${trap}/etc`, { recursive: true });
    await symlink('/etc', `${trap}/link`);
    request.operations.splice(3, 0, {
      op: 'mount',
      source: '/link',
      sourceBelow: trap,
      target: '/mnt',
      flags: ['bind', 'ro'],
    });
    expect((await bed.run(request.argv, request)).stdout).toBe('');
  });
});

describe('signals', () => {
  test('a command that is pid 1 does not get a SIGTERM it has no handler for; under an init it does', async () => {
    const plain = await bed.request(['sleep', '100']);
    const tended = await bed.request(['sleep', '100'], { init: true });
    await bed.launcher.launch(plain);
    await bed.launcher.launch(tended);
    await bed.launcher.signal(plain.containerId, 15);
    await bed.launcher.signal(tended.containerId, 15);
    expect(await bed.exit(tended.containerId)).toMatchObject({ signal: 15 });
    const running = (await bed.launcher.list()).filter((entry) => entry.state === 'running');
    expect(running.map((entry) => entry.containerId)).toEqual([plain.containerId]);
    await bed.launcher.signal(plain.containerId, 9);
    await bed.exit(plain.containerId);
  });

  test.each([{ init: false }, { init: true }])(
    'every process of a container gets the signal once (init $init)',
    async ({ init }) => {
      const cgroup = await makeCgroup();
      const script =
        'trap "echo got" USR1; (trap "echo got" USR1; echo up; i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done) & echo up; i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done; wait';
      const request = await bed.request(sh(`trap : USR1; ${script}`), { init });
      request.operations.unshift(...cgroup.operations);
      if (cgroup.cloneIntoCgroup) request.cloneIntoCgroup = cgroup.cloneIntoCgroup;
      await bed.launcher.launch(request);
      await eventually(async () => (await readFile(request.stdout.path, 'utf8')) === 'up\nup\n', 'both shells');
      await bed.launcher.signal(request.containerId, 10);
      await bed.exit(request.containerId);
      expect((await readFile(request.stdout.path, 'utf8')).match(/got/g)).toHaveLength(2);
      await cgroup.remove();
    },
  );

  test('without a pid namespace KILL gets all processes of the cgroup, also those that fork all the time', async () => {
    const cgroup = await makeCgroup();
    const marker = `77${process.pid}`;
    const request = await bed.request(sh(`while :; do (sleep ${marker} & sleep 0.001); done`));
    request.namespaces.pid = false;
    request.operations = [...cgroup.operations];
    request.namespaces.mount = request.namespaces.uts = request.namespaces.network = false;
    if (cgroup.cloneIntoCgroup) request.cloneIntoCgroup = cgroup.cloneIntoCgroup;
    await bed.launcher.launch(request);
    await eventually(async () => (await processesWith(marker)).length > 20, 'many processes');
    await bed.launcher.signal(request.containerId, 9);
    await bed.exit(request.containerId);
    await eventually(async () => (await processesWith(marker)).length === 0, 'no process left');
    await cgroup.remove();
  });

  test('the end of the command is the end of what it left behind, with and without a pid namespace', async () => {
    const cgroup = await makeCgroup();
    const marker = `78${process.pid}`;
    for (const pid of [true, false]) {
      const request = await bed.request(sh(`setsid sleep ${marker} & exit 4`));
      request.operations.unshift(...cgroup.operations);
      request.namespaces.pid = pid;
      if (!pid) request.operations = request.operations.filter((op) => op.op !== 'mount' || op.fstype !== 'proc');
      if (cgroup.cloneIntoCgroup) request.cloneIntoCgroup = cgroup.cloneIntoCgroup;
      await bed.launcher.launch(request);
      expect(await bed.exit(request.containerId)).toMatchObject({ exitCode: 4 });
      expect(await processesWith(marker)).toEqual([]);
    }
    await cgroup.remove();
  });

  test('a signal to an unknown container reaches nobody', async () => {
    expect(await bed.launcher.signal('unknown', 9)).toBe(0);
  });
});

describe('the tiny init', () => {
  test('reaps orphans', async () => {
    const { stdout } = await bed.run(
      sh('for i in 1 2 3; do (sleep 0.05 &); done; sleep 0.3; ps -eo stat= | grep -c Z'),
      { init: true },
    );
    expect(stdout).toBe('0\n');
  });

  test('forwards what it is sent from outside', async () => {
    const request = await bed.request(sh('trap "exit 7" TERM; echo up; while :; do sleep 0.05; done'), { init: true });
    const { pid } = await bed.launcher.launch(request);
    await eventually(async () => (await readFile(request.stdout.path, 'utf8')) === 'up\n', 'the shell');
    process.kill(pid, 'SIGTERM');
    expect(await bed.exit(request.containerId)).toMatchObject({ exitCode: 7 });
  });

  test('killed itself (out of memory, for example) ends the container, and is told', async () => {
    const request = await bed.request(['sleep', '100'], { init: true });
    const { pid } = await bed.launcher.launch(request);
    process.kill(pid, 'SIGKILL');
    expect(await bed.exit(request.containerId)).toMatchObject({ signal: 9 });
  });
});

test('two containers of one id do not run at once', async () => {
  const request = await bed.request(['sleep', '100']);
  await bed.launcher.launch(request);
  await expect(bed.launcher.launch(request)).rejects.toThrow(LaunchFailed);
  await bed.launcher.signal(request.containerId, 9);
  await bed.exit(request.containerId);
});

test('two hundred containers run at once and all ends are told', async () => {
  const requests = await Promise.all(Array.from({ length: 200 }, (_, i) => bed.request(sh(`exit ${i}`))));
  await Promise.all(requests.map((request) => bed.launcher.launch(request)));
  const records = await Promise.all(requests.map((request) => bed.exit(request.containerId)));
  expect(records.map((record) => record.exitCode)).toEqual(requests.map((_, i) => i));
}, 60_000);

test('a command killed for want of memory has an exit record all the same', async () => {
  const cgroup = await makeCgroup();
  const { writeFile } = await import('node:fs/promises');
  await writeFile(`${cgroup.memory}/${cgroup.v2 ? 'memory.max' : 'memory.limit_in_bytes'}`, '16777216');
  if (await exists(`${cgroup.memory}/memory.swap.max`)) await writeFile(`${cgroup.memory}/memory.swap.max`, '0');
  const request = await bed.request(['perl', '-e', 'my @a; push @a, "x" x 1000000 for 1..200; print "survived"']);
  request.operations.unshift(...cgroup.operations);
  if (cgroup.cloneIntoCgroup) request.cloneIntoCgroup = cgroup.cloneIntoCgroup;
  await bed.launcher.launch(request);
  expect(await bed.exit(request.containerId)).toMatchObject({ signal: 9 });
  await cgroup.remove();
});
