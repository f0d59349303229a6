/** The files of a task through the agent: what may be seen, and that nothing outside of its sandbox ever is. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunningAgent } from '../../../runtime/agent/index.ts';
import { browseSandbox } from '../../../runtime/agent/sandbox/browse.ts';
import { openInSandbox } from '../../../runtime/agent/sandbox/locate.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from './support/platform.ts';

describe('finding files below a sandbox', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-sandbox-'));
    mkdirSync(join(directory, 'box/in/deep'), { recursive: true });
    writeFileSync(join(directory, 'box/in/deep/file'), 'content');
    writeFileSync(join(directory, 'outside'), 'secret');
    symlinkSync('../outside', join(directory, 'box/out'));
    symlinkSync('in', join(directory, 'box/link'));
    symlinkSync('/etc', join(directory, 'box/etc'));
    execFileSync('mkfifo', [join(directory, 'box/pipe')]);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test('finds files and directories by relative paths', async () => {
    for (const path of ['in/deep/file', '/in//deep/./file']) {
      const { handle, status } = await openInSandbox(join(directory, 'box'), path);
      expect((await handle.readFile()).toString()).toBe('content');
      expect(status.isFile()).toBe(true);
      await handle.close();
    }
  });

  test.each([
    ['../outside', 400],
    ['in/../../outside', 400],
    ['out', 403],
    ['link/deep/file', 403],
    ['etc/passwd', 403],
    ['pipe', 403],
    ['in/deep/file/x', 403],
    ['none', 404],
  ])('refuses %s with %i', async (path, status) => {
    await expect(openInSandbox(join(directory, 'box'), path)).rejects.toMatchObject({ status });
  });

  test('shows links as what they are', async () => {
    const { entries, truncated } = await browseSandbox(join(directory, 'box'), '');
    expect(truncated).toBe(false);
    expect(entries.map(({ name, type, target }) => ({ name, type, target }))).toEqual([
      { name: 'etc', type: 'symlink', target: '/etc' },
      { name: 'in', type: 'directory', target: undefined },
      { name: 'link', type: 'symlink', target: 'in' },
      { name: 'out', type: 'symlink', target: '../outside' },
      { name: 'pipe', type: 'other', target: undefined },
    ]);
  });
});

const suite = noContainers() === undefined ? describe : describe.skip;

suite('the sandbox of a task through its agent', () => {
  let platform: Platform;
  let agent: RunningAgent;
  beforeAll(async () => {
    ({ platform, agent } = await startPlatformWithAgent());
    const script = [
      'mkdir -p data/sub && seq 30000 > data/numbers && echo deep > data/sub/deep && chmod 750 data/sub',
      'ln -s ../../../../../../../../etc/shadow data/steal && ln -s numbers data/link && mkfifo data/pipe',
      'head -c 300 /dev/zero | tr "\\0" n > data/$(head -c 150 /dev/zero | tr "\\0" n); echo done',
    ].join('\n');
    await platform.createTask('files', { shell: script });
    await platform.untilState('files', 'Finished');
  }, 90_000);
  afterAll(() => platform.close(), 30_000);

  function get(path: string): Promise<{ status: number; body: Buffer; size: string | undefined }> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest({ socketPath: agent.socketPath, path }, async (response) => {
        const body = Buffer.concat(await response.toArray());
        resolve({ status: response.statusCode!, body, size: response.headers['x-tepui-size'] as string | undefined });
      });
      sent.on('error', reject).end();
    });
  }

  test('is browsed after the task has ended', async () => {
    const { body } = await get(`/sandbox/browse/${NAMESPACE}/files?path=data`);
    expect(JSON.parse(body.toString()).entries).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'numbers', type: 'file', size: 168_894, uid: 65534 }),
        expect.objectContaining({ name: 'sub', type: 'directory', mode: 0o750 }),
        expect.objectContaining({ name: 'steal', type: 'symlink' }),
      ]),
    );
  });

  test('is read in parts, as Mesos does', async () => {
    const path = `/sandbox/read/${NAMESPACE}/files?path=data/numbers`;
    expect(await get(`${path}&offset=-1`)).toMatchObject({ status: 200, size: '168894', body: Buffer.alloc(0) });
    expect((await get(`${path}&offset=2&length=4`)).body.toString()).toBe('2\n3\n');
    expect((await get(path)).body.length).toBe(65536);
    expect((await get(`${path}&offset=168890`)).body.toString()).toBe('000\n');
    expect((await get(`${path}&offset=999999`)).body.length).toBe(0);
    expect((await get(`${path}&offset=x`)).status).toBe(400);
    expect((await get(`/sandbox/read/${NAMESPACE}/files?path=data`)).status).toBe(400);
    expect((await get(`/sandbox/read/${NAMESPACE}/files?path=data/steal`)).status).toBe(403);
    expect((await get(`/sandbox/read/${NAMESPACE}/files?path=stdout`)).body.toString()).toBe('done\n');
  });

  test('is downloaded, files as they are and directories as an archive that tar reads, with links as links', async () => {
    expect((await get(`/sandbox/download/${NAMESPACE}/files?path=data/numbers`)).body.length).toBe(168_894);
    const { body } = await get(`/sandbox/download/${NAMESPACE}/files?path=data`);
    const out = mkdtempSync(join(tmpdir(), 'tepui-untar-'));
    try {
      execFileSync('tar', ['-x', '-p', '-C', out, '-f', '-'], { input: body });
      const listed = execFileSync('find', ['.', '-printf', '%P %y %m\n'], { cwd: out, encoding: 'utf8' }).split('\n');
      expect(listed).toEqual(
        expect.arrayContaining([
          'link l 777',
          'numbers f 644',
          'steal l 777',
          'sub d 750',
          'sub/deep f 644',
          `${'n'.repeat(150)} f 644`,
        ]),
      );
      expect(listed.some((line) => line.startsWith('pipe'))).toBe(false);
      expect(readFileSync(join(out, 'numbers'), 'utf8').length).toBe(168_894);
    } finally {
      rmSync(out, { recursive: true });
    }
  });

  test('of an unknown task or action is not there', async () => {
    expect((await get(`/sandbox/browse/${NAMESPACE}/nosuch`)).status).toBe(404);
    expect((await get(`/sandbox/write/${NAMESPACE}/files`)).status).toBe(404);
    expect((await get(`/sandbox/browse/${NAMESPACE}/files?container=nosuch`)).status).toBe(404);
  });
});
