/** The agent and the supervisor are root and work in directories that belong to tasks: whatever a task links there, they must not follow. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Task } from '../../../crds/types.generated.ts';
import { preparePaths } from '../../../runtime/agent/node/paths.ts';
import { ensureBelow, LeadsOutside } from '../../../runtime/agent/tasks/below.ts';
import { resolveMounts } from '../../../runtime/agent/tasks/mounts.ts';
import { createSandbox, removeSandbox } from '../../../runtime/agent/tasks/sandbox.ts';
import { readLog } from '../../../runtime/logs/read.ts';
import { ensureVolumeDirectory, removeVolumeDirectory } from '../../../runtime/volumes/index.ts';
import { nobody, root, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { runHostile, users } from './probe.ts';

const describeIf = unavailable ? describe.skip : describe;
const secret = 'precious\n';

let outside: string;
beforeEach(() => {
  outside = mkdtempSync('/var/lib/tepui-escape-');
  writeFileSync(join(outside, 'file'), secret, { mode: 0o600 });
});
afterEach(() => {
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe(secret);
  expect(statSync(join(outside, 'file')).mode & 0o7777).toBe(0o600);
  expect([statSync(outside).uid, statSync(join(outside, 'file')).uid]).toEqual([0, 0]);
  rmSync(outside, { recursive: true });
});

describeIf.each(users)(`links that a task of $who makes (${unavailable ?? 'root'})`, ({ user }) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  test('in place of its log files are not written through by rotation', async () => {
    const spec = node.spec(
      {
        shell: `for round in $(seq 50); do
          rm -f stdout stdout.1; ln -s ${outside}/file stdout; ln -s ${outside}/file stdout.1
          head -c 3000 /dev/zero | tr '\\0' 'x'; echo; rm -f stderr; ln -s ${outside}/file stderr; echo lost >&2
        done`,
        logs: { maxSize: 2048, maxFiles: 2 },
      },
      { user },
    );
    await node.containerizer.launch(spec);
    const { exitCode } = await node.containerizer.wait(spec.containerId);
    await node.containerizer.destroy(spec.containerId);
    expect(exitCode).toBe(0);
  });

  test('in place of its log files are not there yet when a container starts again in the same sandbox', async () => {
    const spec = node.spec({ shell: 'echo x' }, { user });
    symlinkSync(join(outside, 'file'), join(spec.sandbox, 'stdout'));
    mkdirSync(join(spec.sandbox, 'stderr'));
    await node.containerizer.launch(spec).catch(() => {});
    await node.containerizer.wait(spec.containerId);
    await node.containerizer.destroy(spec.containerId);
  });

  test('in place of its log files show nothing to a reader of the log', async () => {
    const { sandbox } = node.spec({}, { user });
    for (const name of ['stdout', 'stdout.1', 'stderr']) symlinkSync(join(outside, 'file'), join(sandbox, name));
    expect(await logOf(sandbox, 'stdout')).toBe('');
    expect(await logOf(sandbox, 'stderr')).toBe('');
  });

  test('from one of its log files to another do not keep a reader busy for ever', async () => {
    const { sandbox } = node.spec({}, { user });
    writeFileSync(join(sandbox, 'stdout'), 'once\n');
    linkSync(join(sandbox, 'stdout'), join(sandbox, 'stdout.1'));
    for (let index = 2; index < 1200; index++) linkSync(join(sandbox, 'stdout'), join(sandbox, `stdout.${index}`));
    expect(await logOf(sandbox, 'stdout')).toBe('once\n');
  });

  test('in its sandbox at the place of a mount lead to nothing of the host', async () => {
    const volume = mkdtempSync('/var/lib/tepui-escape-');
    chmodSync(volume, 0o777);
    const mounts = [{ source: volume, root: volume, target: 'data/sub', readOnly: false }];
    const spec = node.spec({ shell: 'pwd; touch data/sub/here; ls -d data/sub/*' }, { user, mounts });
    symlinkSync(outside, join(spec.sandbox, 'data'));
    await node.containerizer.launch(spec).catch(() => {});
    await node.containerizer.wait(spec.containerId);
    await node.containerizer.destroy(spec.containerId);
    expect(existsSync(join(outside, 'sub'))).toBe(false);
    rmSync(volume, { recursive: true });
  });

  test('in a volume do not become the source of a mount, at whatever moment they appear', async () => {
    const volume = mkdtempSync('/var/lib/tepui-escape-');
    mkdirSync(join(volume, 'sub'));
    const mounts = await resolveMounts(taskMounting({ volume: { volumeName: 'v' } }, 'sub'), containerMounting('sub'), {
      sandbox: volume,
      owner: user,
      volumePath: async () => volume,
      allowedHostPaths: [],
    });
    // After the check and before the mount.
    renameSync(join(volume, 'sub'), join(volume, 'was'));
    symlinkSync(outside, join(volume, 'sub'));
    const result = await runHostile(node, 'cat /m/file; echo owned > /m/file; ls /m', { user, mounts }).catch(
      () => undefined,
    );
    expect(result?.stdout ?? '').toBe('');
    rmSync(volume, { recursive: true });
  });

  test('below an allowed host path do not lead out of it', async () => {
    const allowed = mkdtempSync('/var/lib/tepui-escape-');
    symlinkSync(outside, join(allowed, 'x'));
    const sources = { sandbox: allowed, owner: user, volumePath: async () => undefined, allowedHostPaths: [allowed] };
    for (const type of ['Directory', 'DirectoryOrCreate', undefined]) {
      const volume = { hostPath: { path: join(allowed, 'x'), ...(type && { type }) } };
      await expect(resolveMounts(taskMounting(volume), containerMounting(), sources)).rejects.toThrow('leads out of');
    }
    mkdirSync(join(allowed, 'y'));
    const mounts = await resolveMounts(
      taskMounting({ hostPath: { path: join(allowed, 'y') } }),
      containerMounting(),
      sources,
    );
    expect(mounts).toEqual([{ source: join(allowed, 'y'), root: allowed, target: '/m', readOnly: false }]);
    rmSync(join(allowed, 'y'), { recursive: true });
    symlinkSync(outside, join(allowed, 'y'));
    const result = await runHostile(node, 'cat /m/file; echo owned > /m/file', { user, mounts }).catch(() => undefined);
    expect(result?.stdout ?? '').toBe('');
    rmSync(allowed, { recursive: true });
  });
});

describeIf(`work of the agent in directories of tasks (${unavailable ?? 'root'})`, () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync('/var/lib/tepui-escape-');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('makes and gives away no directory outside of a volume, while somebody swaps it for a link', async () => {
    const place = join(directory, 'sub');
    let going = true;
    const swap = async () => {
      while (going) {
        mkdirSync(join(directory, 'real'), { recursive: true });
        for (const make of [() => renameSync(join(directory, 'real'), place), () => symlinkSync(outside, place)]) {
          rmSync(place, { recursive: true, force: true });
          try {
            make();
          } catch {
            // The other side made it meanwhile.
          }
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    };
    const swapping = swap();
    for (let round = 0; round < 300; round++) {
      await ensureBelow(directory, 'sub/a/b', { owner: nobody }).catch((error: Error) => {
        if (error.constructor !== LeadsOutside && !('code' in error)) throw error;
      });
    }
    going = false;
    await swapping;
    expect(existsSync(join(outside, 'a'))).toBe(false);
  });

  test('follows links that stay in the volume', async () => {
    mkdirSync(join(directory, 'releases/5'), { recursive: true });
    symlinkSync('releases/5', join(directory, 'current'));
    expect(await ensureBelow(directory, 'current/data', { owner: nobody })).toBe(join(directory, 'releases/5/data'));
    expect(statSync(join(directory, 'releases/5/data')).uid).toBe(nobody.uid);
    symlinkSync('loop', join(directory, 'loop'));
    await expect(ensureBelow(directory, 'loop/x', { owner: nobody })).rejects.toThrow(LeadsOutside);
  });

  test('removes a sandbox without its links’ targets, however deep it is', async () => {
    const key = { namespace: 'shop', task: 'web', groupId: 'c-1' };
    const sandbox = await createSandbox(directory, key, nobody);
    symlinkSync(outside, join(sandbox, 'link'));
    symlinkSync('/', join(sandbox, 'root'));
    mkdirSync(join(sandbox, 'locked'));
    symlinkSync(outside, join(sandbox, 'locked/link'));
    chmodSync(join(sandbox, 'locked'), 0);
    // Where an earlier agent, or somebody else, left a link in place of `latest`.
    unlinkSync(join(directory, 'shop/web/latest'));
    symlinkSync(outside, join(directory, 'shop/web/latest'));
    const again = await createSandbox(directory, { ...key, groupId: 'c-2' }, nobody);
    expect(lstatSync(join(directory, 'shop/web/latest')).isSymbolicLink()).toBe(true);
    expect(again).toContain('c-2');
    await removeSandbox(directory, key);
    await removeSandbox(directory, { ...key, groupId: 'c-2' });
    expect(existsSync(join(directory, 'shop'))).toBe(false);
  });

  test('removes a volume without its links’ targets', async () => {
    const identity = { root: directory, role: 'a', id: 'v' };
    const path = await ensureVolumeDirectory({ ...identity, owner: { uid: nobody.uid, gid: nobody.gid } });
    symlinkSync(outside, join(path, 'link'));
    mkdirSync(join(path, 'x/y'), { recursive: true });
    symlinkSync('../../../../../../..', join(path, 'x/up'));
    await removeVolumeDirectory(identity);
    expect(existsSync(path)).toBe(false);
  });

  test.each([300, 2_000, 10_000])(
    'removes sandboxes and volumes that are %d directories deep',
    async (depth) => {
      const script = `chdir $ARGV[0]; for (1..${depth}) { mkdir "dddddddd"; symlink $ARGV[1], "link"; chdir "dddddddd" }`;
      const key = { namespace: 'shop', task: 'web', groupId: 'c-1' };
      const identity = { root: directory, role: 'a', id: 'v' };
      const sandbox = await createSandbox(directory, key, nobody);
      const volume = await ensureVolumeDirectory({ ...identity, owner: { uid: nobody.uid, gid: nobody.gid } });
      for (const path of [sandbox, volume]) execFileSync('perl', ['-e', script, path, outside]);
      await removeSandbox(directory, key);
      await removeVolumeDirectory(identity);
      expect(existsSync(join(directory, 'shop'))).toBe(false);
      expect(readdirSync(join(directory, 'roles/a'))).toEqual([]);
    },
    120_000,
  );

  test('takes no link for a volume or its role', async () => {
    mkdirSync(join(directory, 'roles'));
    symlinkSync(outside, join(directory, 'roles/linked'));
    const owner = { uid: nobody.uid, gid: nobody.gid };
    await expect(ensureVolumeDirectory({ root: directory, role: 'linked', id: 'v', owner })).rejects.toThrow();
    mkdirSync(join(directory, 'roles/b'));
    symlinkSync(outside, join(directory, 'roles/b/v'));
    await expect(ensureVolumeDirectory({ root: directory, role: 'b', id: 'v', owner })).rejects.toThrow();
    await removeVolumeDirectory({ root: directory, role: 'b', id: 'v' });
  });

  test('keeps other users of the machine away from what a task of root leaves, such as setuid programs', async () => {
    const paths = await preparePaths(directory, join(directory, 'run'));
    const sandbox = await createSandbox(paths.sandboxes, { namespace: 'n', task: 't', groupId: 'c' }, root);
    writeFileSync(join(sandbox, 'shell'), '#!/bin/sh\n');
    chownSync(join(sandbox, 'shell'), 0, 0);
    chmodSync(join(sandbox, 'shell'), 0o4755);
    chmodSync(sandbox, 0o777);
    expect(() =>
      execFileSync('ls', [join(sandbox, 'shell')], { uid: nobody.uid, gid: nobody.gid, stdio: 'ignore' }),
    ).toThrow();
  });
});

async function logOf(sandbox: string, file: 'stdout' | 'stderr'): Promise<string> {
  let text = '';
  for await (const chunk of readLog(sandbox, file)) text += chunk.toString();
  return text;
}

function containerMounting(subPath?: string): Task['spec']['containers'][number] {
  return { name: 'main', volumeMounts: [{ name: 'v', mountPath: '/m', ...(subPath && { subPath }) }] };
}

function taskMounting(volume: object, subPath?: string): Task {
  return {
    metadata: { name: 't', namespace: 'n' },
    spec: { containers: [containerMounting(subPath)], volumes: [{ name: 'v', ...volume }] },
  } as unknown as Task;
}
