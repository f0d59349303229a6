/** Checks of real containers: inside their namespaces, with their own user, and nothing left behind. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import type { TaskContainer } from '../../../crds/types.generated.ts';
import type { CheckReport } from '../../../runtime/checks/judge.ts';
import { type ChecksOptions, type RunningChecks, startChecks } from '../../../runtime/checks/start.ts';
import { targetOf } from '../../../runtime/checks/target.ts';
import type { LaunchSpec } from '../../../runtime/containerizers/containerizer.ts';
import { SLOW } from '../../setup/slow.ts';
import { startNode, type TestNode, unavailable } from '../containerizers/harness.ts';
import { visibleNode } from '../visible-node.ts';

// The first test of a machine compiles the launcher, which takes its time on a busy one.
jest.setTimeout(120_000);

const when = unavailable ? test.skip : test;
const runtime = unavailable ? undefined : visibleNode();
let node: TestNode;
beforeAll(async () => {
  if (unavailable) return console.log(`skipped: ${unavailable}`);
  node = await startNode();
});
afterAll(async () => {
  await node?.close();
  runtime?.remove();
});

const open: { checks: RunningChecks; spec: LaunchSpec }[] = [];
afterEach(async () => {
  for (const { checks, spec } of open.splice(0)) {
    await checks.stop();
    await node.containerizer.destroy(spec.containerId);
  }
});

/** Launches, and runs the checks; `told` has what is reported. */
async function check(
  command: string[],
  checks: Pick<TaskContainer, 'healthCheck' | 'readinessCheck' | 'check'>,
  options: Partial<ChecksOptions> = {},
) {
  const spec = node.spec({ command, ...checks }, { task: { network: { mode: 'None' } } });
  await node.containerizer.launch(spec);
  const told: CheckReport[] = [];
  const undone: string[] = [];
  const running = startChecks({
    container: spec.container,
    target: targetOf(node.containerizer, spec.containerId),
    onReport: (report) => told.push(report),
    onUndone: (message) => undone.push(message),
    ...options,
  });
  open.push({ checks: running, spec });
  return { spec, told, undone, checks: running };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000 * SLOW;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`);
    await sleep(10);
  }
}

const quick = { delaySeconds: 0, intervalSeconds: 0.05, timeoutSeconds: 10 };

/** Of processes whose command line has this text. */
const processes = (text: string): string[] =>
  readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || name === String(process.pid)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(text);
    } catch {
      return false;
    }
  });

when('a command runs as the container does: its namespaces, environment, working directory and user', async () => {
  const script =
    'test "$(id -u)" = 65534 && test -e /proc/1/comm && ! test -e /proc/40 && grep -q " lo:" /proc/net/dev && ! grep -q eth0 /proc/net/dev && test -w . && test "$PATH" = /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';
  const { told } = await check(['sleep', '1000'], { healthCheck: { ...quick, exec: { shell: script } } });
  await until(() => told.length > 0, 'a report');
  expect(told[0]).toMatchObject({ kind: 'Health', healthy: true, kill: false });
});

when('health follows the container: healthy, unhealthy, and after three failures in a row a kill, once', async () => {
  const { told, spec } = await check(['sh', '-c', 'touch up; sleep 1000'], {
    healthCheck: { ...quick, gracePeriodSeconds: 0, exec: { command: ['test', '-e', 'up'] } },
  });
  const { exec } = node.containerizer;
  const inside = async (...argv: string[]) => {
    const session = await exec({ containerId: spec.containerId, argv, tty: false, stdin: false });
    session.stdout.resume();
    session.stderr?.resume();
    expect(await session.exit).toEqual({ exitCode: 0 });
  };
  await until(() => told.some((each) => each.kind === 'Health' && each.healthy), 'healthy');
  const healthyAt = told.findIndex((each) => each.kind === 'Health' && each.healthy);
  await sleep(300);
  expect(told.length).toBe(healthyAt + 1); // further successes are not told
  await inside('rm', 'up');
  await until(() => told.some((each) => each.kind === 'Health' && each.kill), 'the kill');
  await sleep(300);
  expect(told.slice(healthyAt + 1)).toEqual(
    [1, 2, 3].map((consecutiveFailures) =>
      expect.objectContaining({ healthy: false, consecutiveFailures, kill: consecutiveFailures === 3 }),
    ),
  );
  expect(told.at(-1)?.message).toBe('the command ended with exit code 1');
});

when('a command that takes too long is killed together with the processes it started', async () => {
  const mark = `100${process.pid}.5`;
  const timeoutSeconds = 0.5 * SLOW;
  const { told } = await check(['sleep', '1000'], {
    healthCheck: {
      ...quick,
      timeoutSeconds,
      gracePeriodSeconds: 0,
      consecutiveFailures: 2,
      exec: { shell: `sleep ${mark} & sleep ${mark}; wait` },
    },
  });
  await until(() => processes(`sleep\0${mark}`).length > 0, 'the command to run');
  await until(() => told.length === 2, 'two timeouts');
  expect(told[0]).toMatchObject({ kind: 'Health', healthy: false, message: `no result within ${timeoutSeconds} s` });
  await until(() => processes(mark).length === 0, 'all its processes to be gone');
});

when('stopping ends the attempt under way, and nothing is told after that', async () => {
  const mark = `200${process.pid}.5`;
  const { told, checks } = await check(['sleep', '1000'], { check: { ...quick, exec: { command: ['sleep', mark] } } });
  await until(() => processes(`sleep\0${mark}`).length > 0, 'the command to run');
  await checks.stop();
  await until(() => processes(mark).length === 0, 'the command to be gone');
  expect(told).toEqual([]);
});

when('what a command says is in the message, and a command that is not there is a failure', async () => {
  const failing = await check(['sleep', '1000'], {
    check: { ...quick, exec: { shell: 'echo out; echo "no  database" >&2; exit 3' } },
  });
  const missing = await check(['sleep', '1000'], { check: { ...quick, exec: { command: ['no-such-program'] } } });
  const killed = await check(['sleep', '1000'], { check: { ...quick, exec: { shell: 'kill -9 $$' } } });
  await until(() => [failing, missing, killed].every(({ told }) => told.length > 0), 'three reports');
  expect(failing.told[0]).toMatchObject({
    checkStatus: { type: 'Exec', exitCode: 3 },
    message: expect.stringContaining(': out'),
  });
  expect(missing.told[0]).toMatchObject({
    checkStatus: { exitCode: 127 },
    message: expect.stringContaining('not found'),
  });
  expect(killed.told[0]).toMatchObject({ checkStatus: { exitCode: 137 } });
});

when('HTTP, TCP and readiness reach the loopback address of the container and not that of the host', async () => {
  const script = `
    let asked = 0;
    require('http').createServer((q, r) => {
      if (q.url === '/ready') r.writeHead(++asked < 3 ? 503 : 200, { 'content-type': 'text/plain' }).end('asked ' + asked);
      else r.end();
    }).listen(8080, '127.0.0.1');`;
  const server = [runtime!.path, '-e', script];
  const { told } = await check(server, {
    healthCheck: { ...quick, gracePeriodSeconds: 10, http: { port: 8080 } },
    readinessCheck: {
      intervalSeconds: 0.05,
      timeoutSeconds: 10,
      http: { port: 8080, path: '/ready' },
      preserveLastResponse: true,
    },
    check: { ...quick, tcp: { port: 8081 } },
  });
  await until(() => told.filter(({ kind }) => kind !== 'Readiness').length === 2, 'health and check');
  await until(() => told.some((each) => each.kind === 'Readiness' && each.ready), 'readiness');
  const responses = told.flatMap((each) => (each.kind === 'Readiness' ? [[each.ready, each.lastResponse]] : []));
  expect(responses).toEqual([
    [false, '503 text/plain\n\nasked 1'],
    [false, '503 text/plain\n\nasked 2'],
    [true, '200 text/plain\n\nasked 3'],
  ]);
  expect(told).toContainEqual(expect.objectContaining({ kind: 'Health', healthy: true }));
  expect(told).toContainEqual(
    expect.objectContaining({ kind: 'Check', checkStatus: { type: 'TCP', succeeded: false } }),
  );
});

when('a container that has ended is not judged', async () => {
  const { told, undone, spec } = await check(['sleep', '1000'], {
    healthCheck: { ...quick, delaySeconds: 0.2, gracePeriodSeconds: 0, tcp: { port: 80 } },
    check: { ...quick, delaySeconds: 0.2, exec: { shell: 'exit 1' } },
  });
  await node.containerizer.destroy(spec.containerId);
  await until(() => undone.length >= 2, 'two attempts');
  expect(told).toEqual([]);
  expect(undone.join()).toContain('is not running');
});

when('while paused nothing is attempted', async () => {
  const { told, checks } = await check(['sleep', '1000'], {
    healthCheck: { ...quick, delaySeconds: 0.1, exec: { shell: 'true' } },
  });
  checks.pause();
  await sleep(400);
  expect(told).toEqual([]);
  checks.resume();
  await until(() => told.length === 1, 'a report');
});
