import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent } from '../../../../controllers/machinery/client/resources.ts';
import type { Task as TaskDocument } from '../../../../crds/types.generated.ts';
import { noContainers, type Platform, startPlatformWithAgent } from '../support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;

suite('a task with uris', () => {
  let platform: Platform;
  let server: Server;
  let address: string;
  let directory: string;
  let requests = 0;
  /** Answers to /slow wait for it. */
  let release = () => {};
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-fetching-'));
    server = createServer((request, response) => {
      requests += 1;
      if (request.url === '/missing') return void response.writeHead(404).end();
      if (request.url === '/slow') {
        response.writeHead(200, { 'content-length': '8' });
        response.write('half');
        release = () => response.end('half');
        return;
      }
      response.end('#!/bin/sh\necho fetched\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    ({ platform } = await startPlatformWithAgent());
    const isolation = { allowedHostPaths: [directory] };
    await platform.client.mergePatch(Agent, { name: platform.agentName }, { spec: { isolation } });
  }, 90_000);
  afterAll(async () => {
    await platform?.close();
    server?.closeAllConnections();
    server?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  const output = (task: TaskDocument) => readFileSync(join(task.status?.sandboxPath ?? '', 'stdout'), 'utf8');
  const run = async (name: string, container: object, spec = {}) => {
    await platform.createTask(name, container, spec);
    return platform.untilEnded(name);
  };

  test('finds the files in its sandbox when it starts, as its user', async () => {
    writeFileSync(join(directory, 'local.txt'), 'local\n');
    const task = await run('fetches', {
      shell: './tool; cat local.txt; stat -c %u tool local.txt',
      uris: [{ value: `${address}/tool`, executable: true }, { value: `file://${directory}/local.txt` }],
    });
    expect([task.status?.state, task.status?.message]).toEqual(['Finished', undefined]);
    expect(output(task)).toBe('fetched\nlocal\n65534\n65534\n');
    expect(task.status?.history?.map(({ state }) => state)).toEqual(['Starting', 'Running', 'Finished']);
  });

  test.each<[string, () => object, RegExp]>([
    ['a missing file', () => ({ value: `${address}/missing` }), /missing.*404/],
    [
      'another content',
      () => ({ value: `${address}/x`, sha256: createHash('sha256').update('y').digest('hex') }),
      /SHA-256 is/,
    ],
  ])('fails before its start with %s', async (name, uri, message) => {
    const task = await run(name.replaceAll(' ', '-'), { shell: 'echo ran', uris: [uri()] });
    expect(task.status).toMatchObject({ state: 'Failed', reason: 'ContainerLaunchFailed' });
    expect(task.status?.message).toMatch(message);
  });

  test('is invalid with a path that the operator does not allow', async () => {
    const { status } = await run('forbidden', { shell: 'echo ran', uris: [{ value: 'file:///etc/hostname' }] });
    expect(status).toMatchObject({ state: 'Error', reason: 'TaskInvalid' });
    expect(status?.message).toMatch(/^spec\.containers\[0\]\.uris\[0\]: .*allowedHostPaths/);
  });

  test('is Staging with the progress of the file meanwhile, and can be killed', async () => {
    await platform.createTask('slow', { shell: 'cat slow', uris: [{ value: `${address}/slow` }] });
    const waiting = await platform.until('slow', (seen) => seen.status?.containers?.[0]?.state === 'Fetching');
    expect(waiting.status).toMatchObject({ state: 'Staging' });
    expect(waiting.status?.containers?.[0]?.progress).toMatchObject({ item: `${address}/slow` });
    release();
    expect(output(await platform.untilEnded('slow'))).toBe('halfhalf');
    await platform.createTask('given-up', { shell: 'cat slow', uris: [{ value: `${address}/slow` }] });
    await platform.until('given-up', (seen) => seen.status?.containers?.[0]?.state === 'Fetching');
    await platform.kill('given-up');
    expect((await platform.untilEnded('given-up')).status).toMatchObject({
      state: 'Killed',
      reason: 'TaskKilledDuringLaunch',
    });
  });

  test('does not fetch again when it is restarted in place', async () => {
    const before = requests;
    const task = await run(
      'again',
      { shell: 'echo run >> runs; test $(wc -l < runs) -ge 3', uris: [{ value: `${address}/tool` }] },
      { restartPolicy: { condition: 'OnFailure', backoff: { initialSeconds: 0.05, factor: 1, maxSeconds: 1 } } },
    );
    expect([task.status?.state, task.status?.containers?.[0]?.restarts, requests - before]).toEqual(['Finished', 2, 1]);
  });
});
