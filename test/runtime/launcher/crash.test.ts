/** Kills: of the client's process, of the resident launcher, of supervisors, at random moments. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LaunchFailed } from '../../../runtime/launcher/client.ts';
import { parseExitRecord } from '../../../runtime/launcher/exit-record.ts';
import { SLOW } from '../../setup/slow.ts';
import { type Bed, eventually, exists, makeBed, makeCgroup, mountsBelow, processesWith } from './harness.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await makeBed();
});
afterAll(() => bed.close());

/** The resident launcher of this test: the one process that holds the lock of its runtime directory. */
async function servePid(): Promise<number> {
  const supervisors = new Set((await bed.launcher.list()).map((entry) => entry.supervisorPid));
  for (const pid of await processesWith(`${bed.dir}/run`)) {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    if (!supervisors.has(pid) && links.includes(`${bed.dir}/run/launcher.lock`)) return pid;
  }
  throw new Error('no resident launcher');
}

test('the launcher runs in a session of its own, from a sealed copy of its program', async () => {
  const pid = await servePid();
  expect((await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[3]).not.toBe(
    (await readFile('/proc/self/stat', 'utf8')).split(') ')[1]?.split(' ')[3],
  );
  expect(await readlink(`/proc/${pid}/exe`)).toContain('memfd:tepui-launcher');
});

test('a container outlives the launcher; the next one takes it over and tells its end', async () => {
  const request = await bed.request(['sh', '-c', 'sleep 0.4; exit 11']);
  const launched = await bed.launcher.launch(request);
  const reconnected = once(bed.launcher, 'reconnected');
  process.kill(await servePid(), 'SIGKILL');
  await reconnected;
  expect(await bed.launcher.list()).toMatchObject([
    { containerId: request.containerId, ...launched, state: 'running' },
  ]);
  expect(await bed.exit(request.containerId)).toMatchObject({ exitCode: 11 });
  await eventually(async () => (await bed.launcher.list()).length === 0, 'the supervisor to be gone');
});

test('an end while no launcher runs is told by the next one, and signals work after it', async () => {
  const short = await bed.request(['sh', '-c', 'exit 12']);
  const long = await bed.request(['sleep', '100'], { init: true });
  await bed.launcher.launch(long);
  bed.launcher.launch(short).catch(() => {});
  await eventually(
    async () => parseExitRecord(await readFile(short.exitRecord, 'utf8').catch(() => '')),
    'the exit record',
  );
  process.kill(await servePid(), 'SIGKILL');
  expect(await bed.exit(short.containerId)).toMatchObject({ exitCode: 12 });
  await bed.launcher.signal(long.containerId, 15);
  expect(await bed.exit(long.containerId)).toMatchObject({ signal: 15 });
});

test('a container whose supervisor is killed is killed too, and reported lost', async () => {
  const cgroup = await makeCgroup();
  for (const init of [false, true]) {
    const marker = `79${process.pid}`;
    const request = await bed.request(['sh', '-c', `sleep ${marker} & sleep ${marker}`], { init });
    request.operations.unshift(...cgroup.operations);
    await bed.launcher.launch(request);
    const [entry] = await bed.launcher.list();
    process.kill(entry!.supervisorPid, 'SIGKILL');
    expect(await bed.exit(request.containerId)).toMatchObject({ lost: true });
    expect(await processesWith(marker)).toEqual([]);
    expect(JSON.parse(await readFile(request.exitRecord, 'utf8'))).toMatchObject({ lost: true });
  }
  await cgroup.remove();
});

test.each(['', '  ', '{"containerId":"x","exitCode":0'])(
  'an exit record that a killed supervisor left as %j is none: the container is lost, and a new record says so',
  async (left) => {
    const request = await bed.request(['sleep', '100']);
    await bed.launcher.launch(request);
    expect(parseExitRecord(await readFile(request.exitRecord, 'utf8'))).toBe(undefined);
    const [entry] = await bed.launcher.list();
    const reconnected = once(bed.launcher, 'reconnected');
    process.kill(await servePid(), 'SIGKILL');
    process.kill(entry!.supervisorPid, 'SIGSTOP');
    await writeFile(request.exitRecord, left);
    process.kill(entry!.supervisorPid, 'SIGKILL');
    const record = await bed.exit(request.containerId);
    expect(record).toMatchObject({ lost: true });
    await reconnected;
    expect(JSON.parse(await readFile(request.exitRecord, 'utf8'))).toMatchObject({ lost: true });
  },
);

test('a whole exit record whose supervisor was killed before it could tell is told by the launcher', async () => {
  const request = await bed.request(['sleep', '100']);
  await bed.launcher.launch(request);
  const [entry] = await bed.launcher.list();
  const line = { containerId: request.containerId, exitCode: 5, finishedAtMs: 1 };
  process.kill(entry!.supervisorPid, 'SIGSTOP');
  await writeFile(request.exitRecord, `${JSON.stringify(line)}\n`);
  process.kill(entry!.supervisorPid, 'SIGKILL');
  expect(await bed.exit(request.containerId)).toEqual(line);
});

test('supervisor and launcher killed together: the container does not live on', async () => {
  const marker = `80${process.pid}`;
  const request = await bed.request(['sleep', marker]);
  await bed.launcher.launch(request);
  const [entry] = await bed.launcher.list();
  process.kill(await servePid(), 'SIGKILL');
  process.kill(entry!.supervisorPid, 'SIGKILL');
  expect(await bed.exit(request.containerId)).toMatchObject({ lost: true });
  await eventually(async () => (await processesWith(marker)).length === 0, 'the end of the command');
});

test('supervisors do not end by the signals that end other processes', async () => {
  const request = await bed.request(['sleep', '100']);
  await bed.launcher.launch(request);
  const [entry] = await bed.launcher.list();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(entry!.supervisorPid, signal);
  await sleep(20);
  expect(await bed.launcher.list()).toHaveLength(1);
  await bed.launcher.signal(request.containerId, 9);
  expect(await bed.exit(request.containerId)).toMatchObject({ signal: 9 });
});

/** A slow machine makes fewer of them. */
const rounds = (count: number): number => Math.ceil(count / Math.sqrt(SLOW));

test.each(['supervisor', 'launcher'])(
  'kill -9 of the %s at random moments of a launch leaves nothing unknown',
  async (victim) => {
    const marker = `81${process.pid}`;
    for (let round = 0; round < rounds(40); round++) {
      const request = await bed.request(['sleep', marker], { init: round % 2 === 0 });
      const serve = victim === 'launcher' ? await servePid() : 0;
      const result = bed.launcher.launch(request).then(
        () => 'running',
        (error: Error) => error,
      );
      const late = Math.random() * 6;
      const until = performance.now() + late;
      while (performance.now() < until) await sleep(0);
      if (victim === 'launcher') {
        process.kill(serve, 'SIGKILL');
      } else {
        const pids = await processesWith(`${bed.dir}/run`);
        const states = await bed.launcher.list();
        for (const { supervisorPid } of states)
          if (pids.includes(supervisorPid)) process.kill(supervisorPid, 'SIGKILL');
      }
      const outcome = await result;
      if (outcome === 'running' && victim === 'launcher') {
        await bed.launcher.signal(request.containerId, 9);
        expect(await bed.exit(request.containerId)).toMatchObject({ signal: 9 });
      } else if (outcome === 'running') {
        // Killed after it had started, or not found in time.
        await eventually(async () => (await bed.launcher.signal(request.containerId, 9)) === 0, 'the end');
        await bed.exit(request.containerId);
      } else {
        expect(outcome).toBeInstanceOf(LaunchFailed);
      }
      await eventually(async () => (await processesWith(marker)).length === 0, `no process left in round ${round}`);
      await eventually(async () => (await bed.launcher.list()).length === 0, `no container left in round ${round}`);
      expect(await mountsBelow(bed.dir)).toEqual([]);
    }
    expect(await readdir(`${bed.dir}/run/containers`)).toEqual([]);
  },
  60_000,
);

test('kill -9 of the process that launches: its containers go on, and are there for the next one', async () => {
  const script = fileURLToPath(new URL('fixtures/launch-many.ts', import.meta.url));
  for (let round = 0; round < rounds(5); round++) {
    const agent = spawn(process.execPath, [script, bed.dir, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let launched = '';
    agent.stdout.on('data', (chunk: Buffer) => {
      launched += chunk.toString();
    });
    await eventually(() => launched.split('\n').length > 2, 'the first launches');
    await sleep(Math.random() * 30);
    agent.kill('SIGKILL');
    await once(agent, 'close');
    const told = launched
      .split('\n')
      .filter((line) => line.endsWith('.'))
      .map((line) => line.slice(0, -1));
    expect(told.length).toBeGreaterThan(0);
    const living = await eventually(async () => {
      const entries = await bed.launcher.list();
      return entries.every((entry) => entry.state === 'running') && entries;
    }, 'no launch under way');
    expect(living.map((entry) => entry.containerId)).toEqual(expect.arrayContaining(told));
    for (const { containerId } of living) await bed.launcher.signal(containerId, 9);
    for (const { containerId } of living) expect(await bed.exit(containerId)).toMatchObject({ signal: 9 });
    await eventually(async () => (await bed.launcher.list()).length === 0, 'the end of all');
  }
}, 60_000);

test('the launcher ends by itself when nobody is connected and nothing runs', async () => {
  const other = await makeBed();
  const runtime = `${other.dir}/run`;
  other.launcher.close();
  await eventually(async () => (await processesWith(runtime)).length === 0, 'its end');
  expect(await exists(`${runtime}/launcher.sock`)).toBe(false);
  await other.reconnect();
  await other.close();
});

test('a runtime directory that others may enter is refused', async () => {
  const { chmod, mkdir } = await import('node:fs/promises');
  const { connectLauncher } = await import('../../../runtime/launcher/client.ts');
  const runtimeDir = `${bed.dir}/open`;
  await mkdir(runtimeDir);
  await chmod(runtimeDir, 0o755);
  await expect(connectLauncher({ runtimeDir })).rejects.toThrow(/0700/);
});
