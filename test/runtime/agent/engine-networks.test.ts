/** Networks of a Docker Engine, which tasks name as they name CNI networks. The engine's host is a network namespace of the test's. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Agent } from '../../../controllers/machinery/client/resources.ts';
import { holdNamespaces, releaseNamespaces } from '../../../runtime/launcher/hold.ts';
import { type DockerDaemon, startDockerDaemon, testImage } from '../../containerizers/docker-daemon.ts';
import { eventually } from '../launcher/harness.ts';
import { noContainers, type Platform, startPlatform } from './support/platform.ts';

jest.setTimeout(120_000);

const directory = noContainers() ? undefined : await mkdtemp(join(tmpdir(), 'tepui-engine-net-'));
const namespace = directory && (await holdNamespaces(join(directory, 'ns'), ['net'])).net;
const daemon: DockerDaemon | string = namespace ? await startDockerDaemon({ namespace }) : noContainers()!;
if (typeof daemon === 'string') console.warn(`skipped: ${daemon}`);

(typeof daemon === 'string' ? describe.skip : describe)('networks of a Docker Engine', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform();
    const agent = await platform.startAgent({ dockerSocket: (daemon as DockerDaemon).socketPath });
    await agent.ready;
    const spec = { containerizers: ['docker' as const] };
    await platform.client.mergePatch(Agent, { name: platform.agentName }, { spec });
  });
  afterAll(async () => {
    await platform?.close();
    if (typeof daemon !== 'string') await daemon.stop();
    if (directory === undefined) return;
    await releaseNamespaces(join(directory, 'ns'));
    await rm(directory, { recursive: true });
  });

  test('are told in the status of the agent once it uses the engine', async () => {
    const networks = async () => (await platform.client.get(Agent, { name: platform.agentName }))?.status?.networks;
    await eventually(async () => (await networks())?.length, 'the networks', 30_000);
    expect(await networks()).toEqual([{ name: 'bridge', plugins: ['docker/bridge'], capabilities: ['portMappings'] }]);
  });

  test('connect a task, which is told its address and answers at its host port', async () => {
    const hostPorts = [{ container: 'main', name: 'http', hostPort: 31080 }];
    await platform.createTask(
      'web',
      {
        image: testImage,
        imagePullPolicy: 'Never',
        shell: 'while :; do echo from the engine | nc -l -p $PORT; done',
        ports: [{ name: 'http', containerPort: 8080 }],
      },
      {
        network: { mode: 'Cni', networks: [{ name: 'bridge' }] },
        binding: { agentName: platform.agentName, hostPorts },
      },
    );
    const { status } = await platform.untilState('web', 'Running', 60_000);
    expect(status?.networkInfos).toMatchObject([
      { name: 'bridge', ipAddresses: [expect.stringMatching(/^172\.31\.0\./)], gateways: ['172.31.0.1'] },
    ]);
    const ask = (address: string, port: number): string =>
      spawnSync('nsenter', [`--net=${namespace}`, 'busybox', 'nc', '-w', '5', address, String(port)], {
        encoding: 'utf8',
      }).stdout;
    await eventually(
      () => ask(status!.networkInfos![0]!.ipAddresses![0]!, 8080) === 'from the engine\n',
      'an answer',
      30_000,
    );
    await eventually(() => ask('127.0.0.1', 31080) === 'from the engine\n', 'an answer at the host port', 30_000);
    await platform.kill('web');
    expect((await platform.untilEnded('web')).status?.state).toBe('Killed');
  });
});
