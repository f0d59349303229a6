import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { startApiServer } from '../../apiserver/server.ts';
import { configMap, configMaps, crds, startTestServer, widget, widgetCrd, widgets } from './server-fixture.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tepui-start-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const logger = pino({ level: 'silent' });

describe('a server that cannot start says why in one sentence', () => {
  test('the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    await expect(startApiServer({ dataDir: directory, port, logger })).rejects.toMatchObject({
      name: 'StartupError',
      message: `Port ${port} on 127.0.0.1 is already in use: choose another with --port, or 0 for a free one.`,
      exitCode: 69,
    });
    const untouched = join(directory, 'new');
    await expect(startApiServer({ dataDir: untouched, port, logger })).rejects.toThrow('already in use');
    expect(existsSync(untouched)).toBe(false);
    other.close();
    // Nothing is left open: the same directory can be used at once.
    const api = await startTestServer({ dataDir: directory });
    await api.close();
  });

  test('the address is not ours', async () => {
    await expect(startApiServer({ dataDir: directory, address: '192.0.2.77', logger })).rejects.toThrow(
      'The address 192.0.2.77 is not one of this machine.',
    );
  });

  test('the data directory is of a newer version', async () => {
    writeFileSync(join(directory, 'version'), '99\n');
    await expect(startApiServer({ dataDir: directory, logger })).rejects.toThrow(
      /was written by a newer version of Tepui/,
    );
    expect(existsSync(join(directory, 'server'))).toBe(false);
  });

  test('the data directory is a file, or cannot be made', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await expect(startApiServer({ dataDir: file, logger })).rejects.toThrow('cannot be used: it is not a directory.');
    await expect(startApiServer({ dataDir: join(file, 'below'), logger })).rejects.toMatchObject({ exitCode: 73 });
    await expect(startApiServer({ dataDir: '/proc/tepui', logger })).rejects.toMatchObject({ name: 'StartupError' });
  });

  test('another server uses the data directory', async () => {
    const api = await startTestServer({ dataDir: directory });
    await expect(startApiServer({ dataDir: directory, logger })).rejects.toThrow(/is in use by another Tepui server/);
    await api.close();
  });
});

describe('a restart', () => {
  test('keeps objects, CRDs, revisions and the token, and takes a new port into the kubeconfig', async () => {
    let api = await startTestServer();
    await api.call('POST', crds, widgetCrd);
    await api.call('POST', widgets, widget('kept', { color: 'red' }));
    const { body } = await api.call('POST', configMaps, configMap('kept'));
    const { token } = api;
    api = await api.restart();
    expect(api.token).toBe(token);
    expect((await api.call('GET', `${widgets}/kept`)).body.spec.color).toBe('red');
    const watch = api.watch(`${configMaps}?watch=1&resourceVersion=${Number(body.metadata.resourceVersion) - 1}`);
    expect((await watch.until(1))[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'kept' } } });
    watch.stop();
    expect(statSync(api.server.kubeconfigPath).mode & 0o777).toBe(0o600);
    await api.close();
  });
});

describe('a full disk', () => {
  const isRoot = process.getuid?.() === 0;
  (isRoot ? test : test.skip)(
    'gives 507, keeps what was there, and goes on when space returns (needs root for a tmpfs)',
    async () => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', directory]);
      try {
        const dataDir = join(directory, 'data');
        const api = await startTestServer({ dataDir });
        await api.call('POST', configMaps, configMap('before'));
        writeFileSync(join(directory, 'ballast'), Buffer.alloc(3 * 1024 * 1024));
        let full: Awaited<ReturnType<typeof api.call>> | undefined;
        for (let i = 0; i < 20 && full === undefined; i++) {
          const answer = await api.call('POST', configMaps, configMap(`big${i}`, { text: 'x'.repeat(900_000) }));
          if (answer.status !== 201) full = answer;
        }
        expect(full?.body).toMatchObject({ code: 507, reason: 'InsufficientStorage' });
        expect(full?.body.message).toContain('disk of the data directory is full');
        expect((await api.call('GET', '/readyz')).status).toBe(500);
        expect((await api.call('GET', `${configMaps}/before`)).status).toBe(200);
        rmSync(join(directory, 'ballast'));
        expect((await api.call('POST', configMaps, configMap('after'))).status).toBe(201);
        expect((await api.call('GET', '/readyz')).status).toBe(200);
        const again = await api.restart();
        for (const name of ['before', 'after'])
          expect((await again.call('GET', `${configMaps}/${name}`)).status).toBe(200);
        await again.close();
      } finally {
        execFileSync('umount', [directory]);
      }
    },
  );
});
