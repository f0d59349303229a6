/** The image store of an agent, through its endpoint and `tepui images`. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StoredImage } from '../../../runtime/images/index.ts';
import { writeLayout } from '../images/support/layout.ts';
import { tar } from '../images/support/tar.ts';
import { NAMESPACE, noContainers, type Platform, startPlatform } from './support/platform.ts';

const suite = noContainers() === undefined && NAMESPACE === 'default' ? describe : describe.skip;
const run = promisify(execFile);
const cli = new URL('../../../cli/main.ts', import.meta.url).pathname;

suite("an agent's images", () => {
  let platform: Platform;
  let layout: string;
  let socketPath: string;

  beforeAll(async () => {
    platform = await startPlatform();
    layout = join(platform.runtimeRoot, '..', 'layout');
    writeLayout(layout, 'one', [{ blob: tar([{ path: 'etc/' }, { path: 'etc/motd', content: 'hello' }]) }]);
    writeLayout(layout, 'two', [{ blob: tar([{ path: 'x', content: 'x' }]) }]);
    const agent = await platform.startAgent();
    await agent.ready;
    socketPath = agent.socketPath;
  }, 90_000);
  afterAll(() => platform.close(), 30_000);

  async function tepui(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const all = [cli, 'images', ...args, '--kubeconfig', platform.kubeconfig];
    try {
      return { code: 0, ...(await run(process.execPath, all)) };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, stdout, stderr };
    }
  }
  function ask(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath, path, method }, async (response) => {
        const text = Buffer.concat(await response.toArray()).toString();
        resolve({ status: response.statusCode!, text });
      });
      sent.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  test('are pulled, listed, removed and pruned on the command line', async () => {
    const reference = `oci:${layout}:one`;
    const pulled = await tepui('pull', reference);
    expect(pulled).toMatchObject({ code: 0, stdout: expect.stringContaining(`${reference} sha256:`) });
    expect(pulled.stderr).toContain(`Resolving ${reference}`);
    const listed = await tepui('ls', '-o', 'json');
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { agent: platform.agentName, reference, layers: 1, sizeBytes: 5, holders: [] },
    ]);
    const table = await tepui('ls');
    expect(table.stdout).toMatch(/^AGENT +IMAGE +DIGEST/);
    expect((await tepui('rm', reference)).stdout).toBe(`removed ${reference}\nfreed 5 B\n`);
    expect(await tepui('rm', reference)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('is not on this machine'),
    });
    await tepui('pull', `oci:${layout}:two`, '-o', 'json');
    const pruned = await tepui('prune', '-o', 'json');
    expect(JSON.parse(pruned.stdout)).toEqual({ removed: [`oci:${layout}:two`], freedBytes: 1 });
    expect((await tepui('ls', '-o', 'json')).stdout).toBe('[]\n');
  }, 120_000);

  test('that cannot be pulled end the command with the reason and an exit code', async () => {
    expect(await tepui('pull', `oci:${layout}:three`)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('has no image "three", only "one", "two"'),
    });
    expect(await tepui('pull', 'No/Such')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is no image reference'),
    });
    expect(await tepui('pull', 'x', '--policy', 'Sometimes')).toMatchObject({ code: 2 });
    expect(await tepui('pull', 'x', '--agent', 'nobody')).toMatchObject({ code: 5 });
  }, 60_000);

  test('are served as lines of progress, and refused with what is wrong', async () => {
    const { status, text } = await ask('POST', '/images/pull', { reference: `oci:${layout}:one` });
    expect(status).toBe(200);
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { progress?: unknown; image?: StoredImage });
    expect(lines[0]).toMatchObject({ progress: { phase: 'Resolving' } });
    expect(lines.at(-1)?.image?.digest).toMatch(/^sha256:/);
    expect(await ask('GET', '/images')).toMatchObject({ status: 200, text: expect.stringContaining('"items":[{') });
    expect((await ask('PUT', '/images')).status).toBe(405);
    expect((await ask('GET', '/images/pull')).status).toBe(405);
    expect((await ask('GET', '/images/other')).status).toBe(404);
    expect(await ask('POST', '/images/pull', {})).toMatchObject({
      status: 400,
      text: expect.stringContaining('reference'),
    });
    expect(await ask('DELETE', '/images')).toMatchObject({ status: 400 });
    expect(await ask('POST', '/images/pull', { reference: 'x', dockerConfig: 'no' })).toMatchObject({ status: 400 });
  }, 60_000);

  test('a mistake in registries.yaml is told with its field', async () => {
    const file = join(platform.dataDir, 'agent', 'registries.yaml');
    writeFileSync(file, 'registries:\n  - prefix: a.example\n    plainHTTP: true\n');
    expect(await ask('DELETE', `/images?reference=x`)).toMatchObject({
      status: 500,
      text: expect.stringContaining('registries[0].plainHTTP: there is no such field'),
    });
    writeFileSync(file, '');
  });
});
