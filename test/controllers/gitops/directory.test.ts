import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type DirectoryEvent, syncDirectory } from '../../../controllers/gitops/directory.ts';
import type { ApiClient, ApiObject, Resource } from '../../../controllers/machinery/client/client.ts';
import { startTestServer, type TestServer } from '../machinery/test-server.ts';

const ConfigMap: Resource<ApiObject> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

describe('a directory whose pass was killed', () => {
  let server: TestServer;
  let directory: string;
  beforeAll(async () => {
    server = await startTestServer();
  }, 60_000);
  afterAll(() => server.stop());
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-directory-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const declare = (name: string) =>
    writeFileSync(
      join(directory, `${name}.yaml`),
      `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n  namespace: default\n`,
    );
  const exists = async (name: string) =>
    (await server.client.get(ConfigMap, { namespace: 'default', name })) !== undefined;
  const sync = async (client = server.client) => {
    const events: DirectoryEvent[] = [];
    await syncDirectory({ client, directory, onEvent: (event) => events.push(event) });
    return events;
  };

  /** Ends with its process when it has created the object: nothing that it asks for after that is answered. */
  function killedAfter(name: string): { client: ApiClient; killed: Promise<void> } {
    const { promise: killed, resolve } = Promise.withResolvers<void>();
    let isDead = false;
    const client = new Proxy(server.client, {
      get(target, verb: keyof ApiClient) {
        return async (...args: unknown[]) => {
          if (isDead) return new Promise(() => {});
          const answer = await (target[verb] as (...args: unknown[]) => Promise<unknown>)(...args);
          if (verb !== 'create' || (args[1] as ApiObject).metadata?.name !== name) return answer;
          isDead = true;
          resolve();
          return new Promise(() => {});
        };
      },
    });
    return { client, killed };
  }

  test('prunes what that pass had created once no file declares it any more', async () => {
    for (const name of ['a', 'b', 'c']) declare(name);
    const { client, killed } = killedAfter('b');
    void sync(client);
    await killed;
    expect([await exists('a'), await exists('b'), await exists('c')]).toEqual([true, true, false]);
    for (const name of ['a', 'b']) rmSync(join(directory, `${name}.yaml`));
    await sync();
    expect([await exists('a'), await exists('b'), await exists('c')]).toEqual([false, false, true]);
  });

  test('does not prune what was there before and that it had not come to', async () => {
    await server.client.create(ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'theirs', namespace: 'default' },
    });
    for (const name of ['ours', 'theirs']) declare(name);
    const { client, killed } = killedAfter('ours');
    void sync(client);
    await killed;
    for (const name of ['ours', 'theirs']) rmSync(join(directory, `${name}.yaml`));
    await sync();
    expect([await exists('ours'), await exists('theirs')]).toEqual([false, true]);
  });
});
