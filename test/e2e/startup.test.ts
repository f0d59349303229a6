import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { leftovers } from '../../cli/demo/leftovers.ts';
import { cliCommand } from '../../cli/self.ts';

let dataDir: string;
beforeAll(() => {
  dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'tepui-start-')));
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

/** Runs `tepui up` below a wrapper command; it must end by itself. */
function up(wrapper: string[], ...args: string[]) {
  const [command, ...rest] = [...wrapper, ...cliCommand(['up', '--data-dir', dataDir, '--port', '0', ...args])];
  const { stdout, stderr, status } = spawnSync(command as string, rest, { encoding: 'utf8', timeout: 60_000 });
  return { text: stdout + stderr, errors: stderr.split('\n').filter((line) => line.startsWith('tepui: ')), status };
}

function expectRefusal(result: ReturnType<typeof up>, sentence: RegExp) {
  expect(result.text).toMatch(sentence);
  expect(result.errors).toHaveLength(1);
  expect(result.text).not.toMatch(/^\s+at /m);
  expect(result.status).toBeGreaterThan(0);
  expect(leftovers(dataDir)).toEqual({ processes: [], cgroups: [], mounts: [], runtime: [] });
}

describe('tepui up refuses with one sentence and starts nothing', () => {
  test('without root, where nothing is delegated', () => {
    // A user namespace without a mapping: the files stay readable, but the user is nobody.
    expectRefusal(up(['unshare', '--user']), /without root tasks need cgroup v2|XDG_RUNTIME_DIR/);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('without cgroup controllers', () => {
    expectRefusal(
      up(['unshare', '--mount', 'sh', '-c', 'umount -l -R /sys/fs/cgroup; exec "$@"', 'sh']),
      /cgroup controllers cpu, memory, pids are not available/,
    );
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('on a kernel that is too old', () => {
    expectRefusal(up(['setarch', '--uname-2.6']), /needs Linux 5\.12 or newer/);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('when the port is taken', async () => {
    const server = await new Promise<Server>((resolve) => {
      const listening = createServer().listen(0, '127.0.0.1', () => resolve(listening));
    });
    try {
      const { port } = server.address() as { port: number };
      expectRefusal(up([], '--port', String(port)), new RegExp(`port ${port}.*(taken|in use)`, 'i'));
    } finally {
      server.close();
    }
  });

  test('on a data directory of a newer version', () => {
    expect(existsSync(join(dataDir, 'version'))).toBe(true);
    writeFileSync(join(dataDir, 'version'), '999\n');
    expectRefusal(up([]), /newer version/);
  });

  test('on a full disk', () => {
    expectRefusal(
      up(['unshare', '--mount', 'sh', '-c', `mount -t tmpfs -o size=16k none ${dataDir}; exec "$@"`, 'sh']),
      /no space left|disk is full/i,
    );
  });

  test('with an option that does not exist', () => {
    const result = up([], '--prot', '1');
    expect(result.text).toMatch(/unknown option '--prot'/);
    expect(result.status).toBe(2);
  });
});
