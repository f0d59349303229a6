import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Task, TaskContainer } from '../../../../crds/types.generated.ts';
import { type MountSources, resolveMounts, type TaskVolume } from '../../../../runtime/agent/tasks/mounts.ts';
import { taskProblems } from '../../../../runtime/agent/tasks/validate.ts';

describe('mounts of a container', () => {
  let directory: string;
  let server: Server | undefined;
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-mounts-')));
  });
  afterEach(() => {
    server?.close();
    server = undefined;
    rmSync(directory, { recursive: true, force: true });
  });
  const owner = { uid: process.getuid!(), gid: process.getgid!() };

  function taskWith(volume: object, mount: object = {}, containers: Partial<TaskContainer>[] = [{}]): Task {
    return {
      metadata: { namespace: 'default', name: 't' },
      spec: {
        containers: containers.map((container, index) => ({
          name: `c${index}`,
          volumeMounts: [{ name: 'v', mountPath: '/m', ...mount }],
          ...container,
        })),
        volumes: [{ name: 'v', ...volume } as TaskVolume],
      },
    };
  }
  const resolve = (task: Task, sources: Partial<MountSources> = {}, index = 0) =>
    resolveMounts(task, task.spec.containers[index]!, {
      sandbox: directory,
      owner,
      volumePath: async () => directory,
      allowedHostPaths: [directory],
      ...sources,
    });

  describe('of host paths', () => {
    const hostPath = (name: string, type?: string) => taskWith({ hostPath: { path: join(directory, name), type } });
    beforeEach(async () => {
      mkdirSync(join(directory, 'directory'));
      writeFileSync(join(directory, 'file'), 'x');
      server = createServer();
      await new Promise<void>((done) => server!.listen(join(directory, 'socket'), done));
    });

    test.each([
      ['Directory', 'directory'],
      ['File', 'file'],
      ['Socket', 'socket'],
      ['Any', 'socket'],
      ['DirectoryOrCreate', 'directory'],
      ['FileOrCreate', 'file'],
    ])('accept what is of type %s', async (type, name) => {
      expect(await resolve(hostPath(name, type))).toEqual([
        { source: join(directory, name), root: directory, target: '/m', readOnly: false },
      ]);
      expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('x');
    });

    test.each([
      ['Directory', 'file', 'is not a directory'],
      ['File', 'directory', 'is not a file'],
      ['Socket', 'file', 'is not a socket'],
      ['CharDevice', 'file', 'is not a character device'],
      ['BlockDevice', 'socket', 'is not a block device'],
      ['FileOrCreate', 'directory', 'is not a file'],
      ['Any', 'nothing', 'does not exist'],
      ['File', 'nothing', 'does not exist'],
    ])('refuse what is not of type %s (%s)', async (type, name, message) => {
      await expect(resolve(hostPath(name, type))).rejects.toThrow(message);
    });

    test('are made by the OrCreate types, also below missing directories, and nowhere else', async () => {
      await resolve(hostPath('new/deep', 'DirectoryOrCreate'));
      await resolve(hostPath('new/file', 'FileOrCreate'));
      expect(statSync(join(directory, 'new/deep')).mode & 0o777).toBe(0o755);
      expect(statSync(join(directory, 'new/file')).size).toBe(0);
      const outside = mkdtempSync(join(tmpdir(), 'tepui-outside-'));
      symlinkSync(outside, join(directory, 'link'));
      symlinkSync(join(outside, 'made'), join(directory, 'filelink'));
      await expect(resolve(hostPath('link/made', 'FileOrCreate'))).rejects.toThrow('leads out of');
      await expect(resolve(hostPath('filelink', 'FileOrCreate'))).rejects.toThrow('leads out of');
      expect(() => statSync(join(outside, 'made'))).toThrow('ENOENT');
      rmSync(outside, { recursive: true });
    });

    const isRoot = process.getuid?.() === 0;
    (isRoot ? test : test.skip)('accept devices that are asked for as such', async () => {
      execFileSync('mknod', [join(directory, 'null'), 'c', '1', '3']);
      execFileSync('mknod', [join(directory, 'disk'), 'b', '7', '250']);
      expect(await resolve(hostPath('null', 'CharDevice'))).toHaveLength(1);
      expect(await resolve(hostPath('disk', 'BlockDevice'))).toHaveLength(1);
    });
  });

  test('carry the propagation of the mount, else that of the host path', async () => {
    const volume = { hostPath: { path: directory, propagation: 'HostToContainer' } };
    expect(await resolve(taskWith(volume))).toMatchObject([{ propagation: 'HostToContainer' }]);
    expect(await resolve(taskWith(volume, { propagation: 'Bidirectional' }))).toMatchObject([
      { propagation: 'Bidirectional' },
    ]);
    expect((await resolve(taskWith({ hostPath: { path: directory } })))[0]).not.toHaveProperty('propagation');
  });

  test('are Bidirectional only for host paths of privileged containers', () => {
    const policy = {
      allowPrivileged: true,
      allowHostNamespaces: false,
      allowedHostPaths: [directory],
      allowUnconfined: false,
    };
    const problems = (volume: object, security?: object) =>
      taskProblems(taskWith(volume, { propagation: 'Bidirectional' }, [security ? { security } : {}]), policy);
    const refused = [
      'spec.containers[0].volumeMounts[0].propagation: "Bidirectional" needs a hostPath volume and security.privileged',
    ];
    expect(problems({ hostPath: { path: directory } }, { privileged: true })).toEqual([]);
    expect(problems({ hostPath: { path: directory } })).toEqual(refused);
    expect(problems({ tmpfs: {} }, { privileged: true })).toEqual(refused);
  });

  test("Self is in the container's own sandbox, Parent in the task's, where all its users may write", async () => {
    const own = join(directory, 'containers/c0');
    mkdirSync(own, { recursive: true });
    const sources = { sandbox: own, taskSandbox: directory };
    const group = (type: string) => taskWith({ sandboxPath: { type, path: 'x' } }, {}, [{}, {}]);
    expect(await resolve(group('Self'), sources)).toMatchObject([{ source: join(own, 'x'), root: own }]);
    expect(await resolve(group('Parent'), sources)).toMatchObject([{ source: join(directory, 'x'), root: directory }]);
    expect(statSync(join(own, 'x')).mode & 0o7777).toBe(0o755);
    expect(statSync(join(directory, 'x')).mode & 0o7777).toBe(0o1777);
  });

  test('of image volumes are a read-only overlay of the layers, or the one layer itself', async () => {
    const task = taskWith({ image: { reference: 'r' } });
    expect(await resolve(task, { image: async () => ['/b', '/a'] })).toEqual([
      { type: 'overlay', source: '/b:/a', target: '/m', readOnly: true },
    ]);
    expect(await resolve(task, { image: async () => ['/a'] })).toEqual([
      { source: '/a', root: '/a', target: '/m', readOnly: true },
    ]);
  });

  test('of a sub-path that is a file cannot be a directory below that file', async () => {
    writeFileSync(join(directory, 'file'), '');
    const task = taskWith({ volume: { volumeName: 'data' } }, { subPath: 'file/x' });
    await expect(resolve(task)).rejects.toThrow('volume "v": a part of "file/x" is not a directory');
  });
});
