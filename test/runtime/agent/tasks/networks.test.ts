/** Tasks with networks, from the document to the packet: a real agent, real containers, real plug-ins whose host is a namespace of the test's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Agent } from '../../../../controllers/machinery/client/resources.ts';
import type { TaskSpec } from '../../../../crds/types.generated.ts';
import { cleanupAgent, type RunningAgent } from '../../../../runtime/agent/index.ts';
import { cniProblem } from '../../../setup/cni-plugins.ts';
import { eventually } from '../../launcher/harness.ts';
import { bridgeNetwork, type CniBed, makeCniBed } from '../../network/harness.ts';
import { noContainers, type Platform, startPlatform } from '../support/platform.ts';

// Plug-ins are many processes, and the machine may have much else to do.
jest.setTimeout(120_000);

const problem = noContainers() ?? cniProblem();
if (problem) console.warn(`skipped: ${problem}`);

const httpServer = (text: string, port = 'process.env.PORT') =>
  `exec ${process.execPath} -e "require('http').createServer((_, r) => r.end('${text}')).listen(${port}, () => console.log('ready'))"`;

(problem ? describe.skip : describe)('an agent with CNI networks', () => {
  let platform: Platform;
  let bed: CniBed;
  let agent: RunningAgent;
  const blue: Partial<TaskSpec> = { network: { mode: 'Cni', networks: [{ name: 'blue' }] } };
  const start = async () => {
    agent = await platform.startAgent({
      cniConfigDirectory: join(bed.dir, 'agent/cni/net.d'),
      cniPluginPath: join(bed.dir, 'bin'),
    });
    await agent.ready;
  };
  const stdout = (sandbox: string | undefined) => readFileSync(join(sandbox!, 'stdout'), 'utf8');
  const fetched = (url: string) => bed.inHost('curl', '-sS', '--max-time', '10', url);
  /** Mounts, records and directories that the agent made for networks. */
  const left = () => ({
    records: readdirSync(join(platform.dataDir, 'agent/networks')),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`${platform.runtimeRoot}/`) && line.includes('nsfs')),
  });

  beforeAll(async () => {
    bed = await makeCniBed();
    const plugins = [{ type: 'portmap', capabilities: { portMappings: true }, snat: true }, { type: 'firewall' }];
    await bed.configure('10.conflist', bridgeNetwork('blue', 77, { plugins }));
    platform = await startPlatform();
    await start();
  }, 120_000);
  afterAll(async () => {
    await platform?.close();
    await bed?.close();
  }, 60_000);

  test('a task answers at its own address and at its host port; its status tells the address; DEL leaves nothing', async () => {
    const ports = [{ name: 'http', containerPort: 8080 }];
    const binding = {
      agentName: platform.agentName,
      hostPorts: [{ container: 'main', name: 'http', hostPort: 31234 }],
    };
    await platform.createTask('web', { shell: httpServer('from the task'), ports }, { ...blue, binding });
    const { status } = await platform.untilState('web', 'Running');
    const [info] = status!.networkInfos!;
    expect(info).toMatchObject({ name: 'blue', interfaceName: 'eth0', gateways: ['10.77.0.1'] });
    await eventually(() => stdout(status!.sandboxPath).includes('ready'), 'the server to listen', 30_000);
    expect(fetched(`http://${info!.ipAddresses![0]}:8080/`)).toBe('from the task');
    expect(fetched('http://10.77.0.1:31234/')).toBe('from the task');
    await platform.kill('web');
    await platform.untilEnded('web');
    await eventually(() => left().records.length + left().mounts.length === 0, 'the network to go', 30_000);
    expect(await bed.leftovers()).toMatchObject({ interfaces: [], rules: [], leases: [] });
  });

  test('the agent tells which networks it has, as the directory changes', async () => {
    const networks = async () => (await platform.client.get(Agent, { name: platform.agentName }))?.status?.networks;
    const blueOnly = {
      name: 'blue',
      cniVersion: '1.0.0',
      plugins: ['bridge', 'portmap', 'firewall'],
      capabilities: ['ips', 'portMappings'],
    };
    expect(await networks()).toEqual([blueOnly]);
    await bed.configure('90.conf', { cniVersion: '1.0.0', name: 'absent', type: 'not-installed' });
    await eventually(async () => (await networks())?.length === 2, 'the network to be told', 30_000);
    expect((await networks())?.find(({ name }) => name === 'absent')).toMatchObject({
      message: expect.stringContaining('"not-installed" is in none of the directories'),
    });
    rmSync(join(bed.dir, 'agent/cni/net.d/90.conf'));
    await eventually(async () => (await networks())?.length === 1, 'the network to be gone', 30_000);
  });

  test('the containers of a task share its network, and find names as the document says', async () => {
    const client = `for i in 1 2 3 4 5 6 7 8 9; do ${process.execPath} -e "fetch('http://localhost:9000/').then(async r => console.log(await r.text()))" 2>/dev/null && break; sleep 0.5; done
      hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf; ls /sys/class/net`;
    await platform.createTask(
      'pair',
      {},
      {
        containers: [
          { name: 'server', shell: httpServer('from the neighbour', '9000') },
          { name: 'client', shell: `${client}; exit 0` },
        ],
        network: {
          ...blue.network,
          hostname: 'twins',
          hostAliases: [{ ip: '10.9.8.7', hostnames: ['db', 'db.internal'] }],
          dns: { nameservers: ['10.9.8.1'], search: ['internal'], options: ['ndots:2'] },
        },
      },
    );
    const { status } = await platform.until('pair', (task) =>
      Boolean(task.status?.containers?.find(({ name, state }) => name === 'client' && state === 'Finished')),
    );
    const text = stdout(join(status!.sandboxPath!, 'containers/client'));
    const address = status!.networkInfos![0]!.ipAddresses![0]!;
    expect(text).toContain('from the neighbour\ntwins\ntwins\n');
    expect(text).toContain(`${address}\ttwins\n10.9.8.7\tdb db.internal\n`);
    expect(text).toContain('nameserver 10.9.8.1\nsearch internal\noptions ndots:2\n');
    expect(text).toMatch(/eth0\s+lo\s*$/);
    await platform.kill('pair');
    await platform.untilEnded('pair');
  });

  test("with the host's network a task has the agent's addresses, and may have names of its own", async () => {
    await platform.createTask(
      'hosted',
      { shell: 'hostname; cat /etc/hosts' },
      { network: { mode: 'Host', hostname: 'my-own', hostAliases: [{ ip: '10.9.8.7', hostnames: ['db'] }] } },
    );
    const { status } = await platform.untilEnded('hosted');
    expect(status?.state).toBe('Finished');
    const text = stdout(status!.sandboxPath);
    expect(text.split('\n')[0]).toBe('my-own');
    expect(text).toContain(readFileSync('/etc/hosts', 'utf8').trim());
    expect(text).toMatch(/\tmy-own\n10\.9\.8\.7\tdb\n/);
    const addresses = (status?.networkInfos ?? []).flatMap(({ ipAddresses }) => ipAddresses ?? []);
    expect(addresses).not.toContain('127.0.0.1');
  });

  test('containers of a task without network share a loopback', async () => {
    await platform.createTask(
      'alone',
      {},
      {
        containers: [
          { name: 'server', shell: httpServer('only here', '9000') },
          {
            name: 'client',
            shell: `for i in 1 2 3 4 5 6 7 8 9; do ${process.execPath} -e "fetch('http://127.0.0.1:9000/').then(async r => console.log(await r.text()))" 2>/dev/null && break; sleep 0.5; done; ls /sys/class/net; exit 0`,
          },
        ],
        network: { mode: 'None' },
      },
    );
    const { status } = await platform.until('alone', (task) =>
      Boolean(task.status?.containers?.find(({ name, state }) => name === 'client' && state === 'Finished')),
    );
    expect(stdout(join(status!.sandboxPath!, 'containers/client'))).toBe('only here\nlo\n');
    await platform.kill('alone');
    await platform.untilEnded('alone');
    await eventually(() => left().mounts.length === 0, 'the namespace to go', 30_000);
  });

  test.each([
    ['missing', { networks: [{ name: 'green' }] }, 'Failed', 'this agent has no network "green" (it has: blue'],
    [
      'senseless',
      { networks: [{ name: 'blue', interfaceName: 'lo' }] },
      'Error',
      'spec.network.networks[0].interfaceName: "lo" cannot be used',
    ],
    [
      'greedy',
      { networks: [{ name: 'blue', ipAddresses: ['192.0.2.7'] }] },
      'Failed',
      'CNI plug-in "bridge" failed ADD',
    ],
  ])("a %s network is told in the task's status", async (name, network, state, message) => {
    await platform.createTask(name, { command: ['true'] }, { network: { mode: 'Cni', ...network } });
    expect((await platform.untilEnded(name)).status).toMatchObject({
      state,
      message: expect.stringContaining(message),
    });
    await eventually(() => left().records.length + left().mounts.length === 0, 'the network to go', 30_000);
  });

  test('an agent that is killed takes tasks back with their networks, and what it was making is made anew', async () => {
    await bed.plugin(
      'slow',
      '[ $CNI_COMMAND = ADD ] && [ ! -e $DIR/fast ] && sleep 3; [ $CNI_COMMAND = ADD ] && echo "$input" | sed "s/.*\\"prevResult\\":\\(.*\\)}$/\\1/"; exit 0',
    );
    await bed.configure('20.conflist', bridgeNetwork('slow', 78, { plugins: [{ type: 'slow' }] }));
    await platform.createTask('before', { shell: httpServer('still here', '8080') }, blue);
    const before = (await platform.untilState('before', 'Running')).status!;
    await agent.close();
    const options = { cniConfigDirectory: join(bed.dir, 'agent/cni/net.d'), cniPluginPath: join(bed.dir, 'bin') };
    const program = fileURLToPath(new URL('../support/agent-process.ts', import.meta.url));
    const argv = [
      program,
      platform.kubeconfig,
      platform.dataDir,
      platform.agentName,
      platform.runtimeRoot,
      JSON.stringify(options),
    ];
    const victim = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(victim.stdout, 'data');
    await platform.createTask(
      'during',
      { shell: 'ls /sys/class/net; sleep 1000' },
      { network: { mode: 'Cni', networks: [{ name: 'slow' }] } },
    );
    await eventually(async () => (await bed.calls()).includes('ADD slow eth0'), 'the plug-in to begin', 30_000);
    victim.kill('SIGKILL');
    await once(victim, 'exit');
    await bed.plugin('fast', '');
    await bed.configure('20.conflist', bridgeNetwork('slow', 78, { plugins: [] }));
    await start();
    const during = (await platform.untilState('during', 'Running', 30_000)).status!;
    expect(during.networkInfos?.[0]).toMatchObject({ name: 'slow', ipAddresses: [expect.stringMatching(/^10\.78\./)] });
    expect((await platform.task('before'))?.status?.networkInfos).toEqual(before.networkInfos);
    expect(fetched(`http://${before.networkInfos![0]!.ipAddresses![0]}:8080/`)).toBe('still here');
    expect((await bed.leftovers()).leases).toHaveLength(2);
    // `tepui down` knows from the records where the plug-ins are.
    await agent.close();
    await cleanupAgent({ dataDir: platform.dataDir, runtimeRoot: platform.runtimeRoot, logger: platform.logger });
    expect(await bed.leftovers()).toMatchObject({ interfaces: [], rules: [], leases: [] });
    expect(left()).toEqual({ records: [], mounts: [] });
  }, 90_000);
});
