import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent } from '../../../controllers/machinery/client/resources.ts';
import type { RunningAgent } from '../../../runtime/agent/index.ts';
import { startDockerDaemon, testImage } from '../../containerizers/docker-daemon.ts';
import { aptProblem } from '../../setup/debian.ts';
import { NAMESPACE, noContainers, type Platform, startPlatform } from './support/platform.ts';

const problem = noContainers() ?? aptProblem('crun', () => execFileSync('crun', ['--version'], { stdio: 'ignore' }));
const daemon = problem ?? (await startDockerDaemon());
const why = problem ?? (typeof daemon === 'string' ? daemon : undefined);
const suite = why ? describe.skip : describe;

suite(`an agent with several containerizers (${why ?? 'docker, crun, native'})`, () => {
  let platform: Platform;
  let agent: RunningAgent;
  beforeAll(async () => {
    platform = await startPlatform();
    agent = await platform.startAgent({
      ociRuntime: 'crun',
      dockerSocket: (daemon as { socketPath: string }).socketPath,
    });
    await agent.ready;
    await platform.client.mergePatch(
      Agent,
      { name: platform.agentName },
      { spec: { containerizers: ['docker', 'oci', 'native'] } },
    );
  }, 90_000);
  afterAll(async () => {
    await platform?.close();
    if (typeof daemon !== 'string') await daemon.stop();
  }, 60_000);

  test('shows which there are and what each refuses', async () => {
    const { status } = (await platform.client.get(Agent, { name: platform.agentName }))!;
    expect(status?.containerizers?.map(({ name }) => name)).toEqual(['native', 'oci', 'docker']);
    const [, oci, docker] = status!.containerizers!;
    expect(oci?.version).toMatch(/^crun \d/);
    expect(docker?.unsupported).toContain('spec.containers[].tty');
  });

  test('runs an image in the engine, from the store of the engine, with logs and the exit code', async () => {
    await platform.createTask('in-docker', {
      image: testImage,
      imagePullPolicy: 'Never',
      shell: 'echo "$TEPUI_SANDBOX $PATH"; cat /proc/self/cgroup; exit 4',
    });
    const { status } = await platform.untilEnded('in-docker');
    expect(status).toMatchObject({ state: 'Failed', reason: 'ExitCode', exitCode: 4 });
    const output = readFileSync(join(status!.sandboxPath!, 'stdout'), 'utf8');
    expect(output).toMatch(/^\/mnt\/tepui\/sandbox \/usr\/local\/sbin:/);
  });

  test('tells why an image cannot be had', async () => {
    await platform.createTask('missing', {
      image: 'tepui-test/nothing:1',
      imagePullPolicy: 'Never',
      command: ['true'],
    });
    const { status } = await platform.untilEnded('missing');
    expect(status).toMatchObject({ state: 'Failed', reason: 'ContainerLaunchFailed' });
    expect(status?.message).toContain("is not in the Docker Engine's store, and imagePullPolicy is Never");
  });

  test('runs a task without an image with the OCI runtime, and one that it refuses natively', async () => {
    await platform.createTask('in-oci', { shell: 'ls /dev/.init && exit 5' });
    expect((await platform.untilEnded('in-oci')).status).toMatchObject({ exitCode: 5 });
    await platform.createTask('native', { shell: '! ls /dev/.init && exit 6', namespaces: { pid: 'Task' } });
    expect((await platform.untilEnded('native')).status).toMatchObject({ exitCode: 6 });
  });

  test('tells who asks for what a containerizer cannot do', async () => {
    await platform.createTask('copy-docker', { image: testImage, imagePullPolicy: 'Never', shell: 'sleep 1000' });
    await platform.createTask('copy-oci', { shell: 'sleep 1000' });
    for (const [name, message] of [
      ['copy-docker', 'containerizer docker cannot copy a container'],
      ['copy-oci', 'only the native containerizer copies files'],
    ] as const) {
      await platform.untilState(name, 'Running');
      const { statusCode, body } = await request({
        socketPath: agent.socketPath,
        path: `/files/${NAMESPACE}/${name}?path=/etc&name=etc`,
      });
      expect([statusCode, body]).toEqual([501, expect.stringContaining(message)]);
    }
  });

  test('kills with grace, whoever runs it', async () => {
    for (const [name, container] of Object.entries({
      'killed-docker': {
        image: testImage,
        imagePullPolicy: 'Never' as const,
        shell: 'trap "exit 0" TERM; while :; do sleep 0.1; done',
      },
      'killed-oci': { shell: 'trap "exit 0" TERM; while :; do sleep 0.1; done' },
    })) {
      await platform.createTask(name, container);
      await platform.untilState(name, 'Running');
      await platform.kill(name);
      expect((await platform.untilEnded(name)).status?.state).toBe('Killed');
    }
  });
});

async function request(options: { socketPath: string; path: string }): Promise<{ statusCode?: number; body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => get(options, resolve).on('error', reject));
  return { statusCode: response.statusCode, body: await text(response) };
}
