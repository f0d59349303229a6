import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ConfigMap, Secret } from '../../../../controllers/machinery/client/resources.ts';
import type { TaskSpec } from '../../../../crds/types.generated.ts';
import type { RunningAgent } from '../../../../runtime/agent/index.ts';
import { mountsBelow } from '../../../../runtime/volumes/mounts.ts';
import { SLOW } from '../../../setup/slow.ts';
import { NAMESPACE, noContainers, type Platform, startPlatformWithAgent } from '../support/platform.ts';

const suite = noContainers() === undefined ? describe : describe.skip;
const PROGRAM = new URL('../support/agent-process.ts', import.meta.url).pathname;
const base64 = (text: string) => Buffer.from(text).toString('base64');

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await closed;
}

suite('volumes in memory', () => {
  let platform: Platform;
  let agent: RunningAgent | undefined;
  const processes: ChildProcess[] = [];
  beforeAll(async () => {
    ({ platform, agent } = await startPlatformWithAgent());
  }, 90_000);
  afterEach(() => Promise.all(processes.splice(0).map(kill)));
  afterAll(() => platform.close(), 60_000);

  const output = (sandbox: string | undefined, file = 'stdout') => readFileSync(join(sandbox ?? '', file), 'utf8');
  const mounting = (volume: object): Partial<TaskSpec> => ({ volumes: [{ name: 'v', ...volume }] });
  const at = (mountPath: string, more: object = {}) => ({ volumeMounts: [{ name: 'v', mountPath, ...more }] });
  async function untilTrue(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (const deadline = Date.now() + 20_000 * SLOW; !(await condition()); await sleep(20)) {
      if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    }
  }
  const nothingMounted = async () => (await mountsBelow(platform.runtimeRoot)).length === 0;

  test('a tmpfs has its size, is writable for the user, and is gone afterwards', async () => {
    await platform.createTask(
      'tmpfs',
      {
        shell: 'df -B1 --output=size,fstype /cache | tail -1; head -c 2000000 /dev/zero > /cache/x; ls -l /cache/x >&2',
        ...at('/cache'),
      },
      mounting({ tmpfs: { sizeLimit: '1Mi' } }),
    );
    const { status } = await platform.untilEnded('tmpfs');
    expect(output(status?.sandboxPath).trim().split(/\s+/)).toEqual([String(2 ** 20), 'tmpfs']);
    // What was too much was refused, and what fits is there.
    expect(output(status?.sandboxPath, 'stderr')).toContain('No space left on device');
    expect(output(status?.sandboxPath, 'stderr')).toContain(String(2 ** 20));
    await untilTrue(nothingMounted, 'the tmpfs is unmounted');
    expect(readdirSync(join(platform.runtimeRoot, readdirSync(platform.runtimeRoot)[0]!, 'tasks'))).toEqual([]);
  });

  test('what is written to a tmpfs counts as the memory of the container', async () => {
    await platform.createTask(
      'tmpfs-memory',
      {
        shell: 'head -c 80000000 /dev/zero > /cache/x; sleep 10',
        resources: { requests: { mem: '32Mi' } },
        ...at('/cache'),
      },
      mounting({ tmpfs: { sizeLimit: '128Mi' } }),
    );
    expect((await platform.untilEnded('tmpfs-memory')).status).toMatchObject({
      state: 'Failed',
      reason: 'ContainerLimitationMemory',
    });
  });

  test('a tmpfs without a size has half of the memory limit', async () => {
    await platform.createTask(
      'tmpfs-half',
      { shell: 'df -B1 --output=size /cache | tail -1', resources: { requests: { mem: '64Mi' } }, ...at('/cache') },
      mounting({ tmpfs: {} }),
    );
    expect(Number(output((await platform.untilEnded('tmpfs-half')).status?.sandboxPath))).toBe(2 ** 25);
  });

  test('a secret is files of the container user, 0400, read-only, in memory', async () => {
    await platform.client.create(Secret, {
      metadata: { namespace: NAMESPACE, name: 'db' },
      data: { password: base64('hunter2'), user: base64('tepui') },
    } as never);
    await platform.createTask(
      'secret',
      {
        shell:
          'cat /creds/password; echo; stat -L -c "%a %u %n" /creds/*; stat -f -c %T /creds/password; ' +
          'echo x > /creds/password; touch /creds/new; chmod 777 /creds/password; rm /creds/..data; true',
        user: '1234',
        ...at('/creds'),
      },
      mounting({ secret: { secretName: 'db' } }),
    );
    const { status } = await platform.untilEnded('secret');
    expect(output(status?.sandboxPath).split('\n')).toEqual([
      'hunter2',
      '400 1234 /creds/password',
      '400 1234 /creds/user',
      'tmpfs',
      '',
    ]);
    expect(output(status?.sandboxPath, 'stderr').match(/Read-only file system/g)?.length).toBeGreaterThanOrEqual(3);
    expect(platform.logged()).not.toContain('hunter2');
    await untilTrue(nothingMounted, 'the secret is unmounted');
  });

  test('items choose keys, paths and modes; a sub-path is one file', async () => {
    await platform.client.create(ConfigMap, {
      metadata: { namespace: NAMESPACE, name: 'settings' },
      data: { 'app.conf': 'a=1\n', other: 'no' },
      binaryData: { blob: base64('\u0001binary') },
    } as never);
    const items = [
      { key: 'app.conf', path: 'etc/app.conf', mode: 0o644 },
      { key: 'blob', path: 'blob' },
    ];
    await platform.createTask(
      'items',
      {
        shell:
          'cat /conf/etc/app.conf one.conf; stat -L -c %a /conf/etc/app.conf /conf/blob; find -L /conf -type f | grep -v "/\\.\\." | sort',
        volumeMounts: [
          { name: 'v', mountPath: '/conf' },
          { name: 'v', mountPath: 'one.conf', subPath: 'etc/app.conf' },
        ],
      },
      mounting({ configMap: { name: 'settings', items } }),
    );
    const { status } = await platform.untilEnded('items');
    expect(output(status?.sandboxPath)).toBe('a=1\na=1\n644\n444\n/conf/blob\n/conf/etc/app.conf\n');
  });

  test.each<[string, object, string]>([
    ['gone', { secret: { secretName: 'nowhere' } }, 'volume "v": secret "nowhere" does not exist'],
    ['key', { secret: { secretName: 'db', items: [{ key: 'pin', path: 'pin' }] } }, 'secret "db" has no key "pin"'],
    ['path', { secret: { secretName: 'db', items: [{ key: 'user', path: '..data' }] } }, '"..data" cannot be the path'],
  ])('a task fails with a word about what is missing: %s', async (name, volume, message) => {
    await platform.createTask(`missing-${name}`, { command: ['true'], ...at('/creds') }, mounting(volume));
    expect((await platform.untilEnded(`missing-${name}`)).status).toMatchObject({
      state: 'Failed',
      reason: 'ContainerLaunchFailed',
      message: expect.stringContaining(message),
    });
    await untilTrue(nothingMounted, 'nothing is left mounted');
  });

  test('an optional one that is missing is an empty directory, and fills when the object appears', async () => {
    await platform.createTask(
      'optional',
      { shell: 'ls /creds | wc -l; while [ ! -e /creds/late ]; do sleep 0.05; done; cat /creds/late', ...at('/creds') },
      mounting({ secret: { secretName: 'later', optional: true } }),
    );
    await platform.untilState('optional', 'Running');
    await platform.client.create(Secret, {
      metadata: { namespace: NAMESPACE, name: 'later' },
      data: { late: base64('here') },
    } as never);
    expect(output((await platform.untilEnded('optional')).status?.sandboxPath)).toBe('0\nhere');
  });

  test('a change of the object arrives in the running container; its environment never changes', async () => {
    const key = { namespace: NAMESPACE, name: 'rotating' };
    await platform.client.create(Secret, { metadata: key, data: { token: base64('one') } } as never);
    await platform.createTask(
      'rotating',
      {
        shell: 'cat /creds/token; while [ ! -e /creds/done ]; do sleep 0.05; done; cat /creds/token; echo "$TOKEN"',
        env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'rotating', key: 'token' } } }],
        ...at('/creds'),
      },
      mounting({ secret: { secretName: 'rotating' } }),
    );
    await platform.untilState('rotating', 'Running');
    await platform.client.mergePatch(Secret, key, { data: { token: base64('two'), done: base64('') } });
    expect(output((await platform.untilEnded('rotating')).status?.sandboxPath)).toBe('onetwoone\n');
  });

  test('are taken back after the agent was killed: updates go on, and nothing is left', async () => {
    await agent?.close();
    agent = undefined;
    const key = { namespace: NAMESPACE, name: 'survivor' };
    await platform.client.create(Secret, { metadata: key, data: { token: base64('one') } } as never);
    const start = async () => {
      const { kubeconfig, dataDir, agentName, runtimeRoot } = platform;
      const child = spawn(process.execPath, [PROGRAM, kubeconfig, dataDir, agentName, runtimeRoot], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      processes.push(child);
      await new Promise<void>((resolve) =>
        child.stdout!.on('data', (chunk) => String(chunk).includes('ready') && resolve()),
      );
      return child;
    };
    const first = await start();
    await platform.createTask(
      'survivor',
      {
        shell: 'echo kept > /mem/x; while [ ! -e /creds/done ]; do sleep 0.05; done; cat /creds/token /mem/x',
        volumeMounts: [
          { name: 'v', mountPath: '/creds' },
          { name: 'mem', mountPath: '/mem' },
        ],
      },
      {
        volumes: [
          { name: 'v', secret: { secretName: 'survivor' } },
          { name: 'mem', tmpfs: { sizeLimit: '1Mi' } },
        ],
      },
    );
    await platform.createTask(
      'orphan',
      { command: ['sleep', '1000'], ...at('/mem') },
      mounting({ tmpfs: { sizeLimit: '1Mi' } }),
    );
    await platform.untilState('survivor', 'Running');
    await platform.untilState('orphan', 'Running');
    expect(await mountsBelow(platform.runtimeRoot)).toHaveLength(3);
    await kill(first);
    await platform.kill('orphan');
    await platform.client.mergePatch(Secret, key, { data: { token: base64('two'), done: base64('') } });
    await start();
    expect(output((await platform.untilEnded('survivor')).status?.sandboxPath)).toBe('twokept\n');
    await platform.untilEnded('orphan');
    await untilTrue(nothingMounted, 'nothing is left mounted');
  }, 120_000);
});
