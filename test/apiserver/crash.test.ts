import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { Pool } from 'undici';
import { parse } from 'yaml';
import { configMap, configMaps } from './server-fixture.ts';

const program = new URL('server-process.ts', import.meta.url).pathname;

async function startProcess(
  dataDir: string,
): Promise<{ child: ChildProcess; pool: Pool; headers: Record<string, string> }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [url] = (await once(child.stdout!, 'data')) as [Buffer];
  const config = parse(readFileSync(join(dataDir, 'kubeconfig'), 'utf8'));
  const ca = Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64');
  return {
    child,
    pool: new Pool(url.toString().trim(), { connections: 20, connect: { ca } }),
    headers: { authorization: `Bearer ${config.users[0].user.token}`, 'content-type': 'application/json' },
  };
}

test('a server killed while clients write has every write that a client saw acknowledged, and no deleted object', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'tepui-kill-'));
  const live = new Map<string, number>();
  const deleted = new Set<string>();
  const refusals: string[] = [];
  try {
    for (let round = 0; round < 4; round++) {
      const { child, pool, headers } = await startProcess(dataDir);
      for (const [name, revision] of live) {
        const { statusCode, body } = await pool.request({ path: `${configMaps}/${name}`, method: 'GET', headers });
        const object = (await body.json()) as { metadata?: { resourceVersion: string } };
        expect({ name, statusCode, kept: Number(object.metadata?.resourceVersion) >= revision }).toEqual({
          name,
          statusCode: 200,
          kept: true,
        });
      }
      for (const name of deleted) {
        const { statusCode, body } = await pool.request({ path: `${configMaps}/${name}`, method: 'GET', headers });
        await body.dump();
        expect({ name, statusCode }).toEqual({ name, statusCode: 404 });
      }
      const write = async (method: 'POST' | 'PUT' | 'DELETE', path: string, value?: object) => {
        const { statusCode, body } = await pool.request({
          path,
          method,
          headers,
          body: value ? JSON.stringify(value) : null,
        });
        const answer = (await body.json()) as { metadata: { resourceVersion: string } };
        if (statusCode >= 300) refusals.push(`${method} ${path}: ${statusCode}`);
        return Number(answer.metadata.resourceVersion);
      };
      const client = async (id: number) => {
        for (let i = 0; ; i++) {
          const name = `r${round}-c${id}-${i}`;
          live.set(name, await write('POST', configMaps, configMap(name)));
          live.set(name, await write('PUT', `${configMaps}/${name}`, configMap(name, { i: String(i) })));
          if (i % 3 > 0) continue;
          // From here on it may be gone or not, until the answer is there.
          live.delete(name);
          await write('DELETE', `${configMaps}/${name}`);
          deleted.add(name);
        }
      };
      const clients = Array.from({ length: 20 }, (_, id) => client(id).catch(() => {}));
      const before = live.size;
      // Not by the clock alone: on a slow machine nothing would have been written yet.
      for (let waited = 0; live.size < before + 10 && waited < 20_000; waited += 20) await sleep(20);
      await sleep(100 + Math.random() * 200);
      child.kill('SIGKILL');
      await Promise.all(clients);
      await pool.destroy();
    }
    expect(refusals).toEqual([]);
    expect(live.size).toBeGreaterThan(20);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}, 120_000);
