/** The whole way with real plug-ins: addresses, talk between tasks, port mappings, firewall, bandwidth, IPv6; and nothing left. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { cniProblem } from '../../setup/cni-plugins.ts';
import { bridgeNetwork, type CniBed, cniTask, makeCniBed, nothing } from './harness.ts';

// Plug-ins are many processes, and the machine may have much else to do.
jest.setTimeout(120_000);

const problem = cniProblem();
if (problem) console.warn(`skipped: ${problem}`);

let bed: CniBed;
beforeAll(async () => {
  if (problem) return;
  bed = await makeCniBed();
  await bed.configure(
    '10-blue.conflist',
    bridgeNetwork('blue', 77, {
      v6: true,
      plugins: [
        { type: 'portmap', capabilities: { portMappings: true }, snat: true },
        {
          type: 'bandwidth',
          ingressRate: 100_000_000,
          ingressBurst: 100_000_000,
          egressRate: 100_000_000,
          egressBurst: 100_000_000,
        },
        { type: 'firewall' },
      ],
    }),
  );
  await bed.configure('20-red.conflist', bridgeNetwork('red', 78));
});
afterAll(() => bed?.close());

(problem ? describe.skip : describe)('bridge networks', () => {
  test('two tasks reach each other and the gateway, over IPv4 and IPv6; DEL leaves nothing', async () => {
    const [one, two] = [randomUUID(), randomUUID()];
    const [first, second] = await Promise.all([
      bed.networks.setUp(cniTask({ networks: [{ name: 'blue' }] }, {}, 'one'), one),
      bed.networks.setUp(cniTask({ networks: [{ name: 'blue' }] }, {}, 'two'), two),
    ]);
    expect(first.infos).toEqual([
      {
        name: 'blue',
        interfaceName: 'eth0',
        ipAddresses: [expect.stringMatching(/^10\.77\.0\.\d+$/), expect.stringMatching(/^fd77::/)],
        gateways: ['10.77.0.1', 'fd77::1'],
        macAddress: expect.stringMatching(/^[0-9a-f:]{17}$/),
      },
    ]);
    expect(bed.inTask(one, 'cat', '/sys/class/net/eth0/address').length).toBeGreaterThan(0);
    const [v4, v6] = second.infos[0]!.ipAddresses!;
    bed.inTask(one, 'ping', '-c1', '-W5', v4!);
    bed.inTask(one, 'ping', '-c1', '-W5', '10.77.0.1');
    bed.inTask(one, 'ping', '-c1', '-W5', v6!);
    await bed.serve(two, 80, 'hello from two', '::');
    expect(bed.inTask(one, 'curl', '-sS', '--max-time', '10', `http://${v4}/`)).toBe('hello from two');
    expect(bed.inTask(one, 'curl', '-sS', '--max-time', '10', `http://[${v6}]/`)).toBe('hello from two');

    const files = first.network!.files!;
    expect(await readFile(files.hosts!, 'utf8')).toContain(`${first.infos[0]!.ipAddresses![0]}\tone\n`);
    expect(await readFile(files.hostname!, 'utf8')).toBe('one\n');
    await bed.networks.tearDown(one);
    await bed.networks.tearDown(two);
    await bed.networks.tearDown(two);
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('host ports lead to the container, and no more after DEL', async () => {
    const id = randomUUID();
    const task = cniTask(
      { networks: [{ name: 'blue' }] },
      {
        containers: [
          {
            name: 'main',
            ports: [
              { name: 'http', containerPort: 8080, hostPort: 0, protocol: 'TCP' },
              { name: 'fixed', containerPort: 8081, hostPort: 31500, protocol: 'TCP' },
            ],
          },
        ],
        binding: { agentName: 'a', hostPorts: [{ container: 'main', name: 'http', hostPort: 31400 }] },
      },
    );
    const { infos } = await bed.networks.setUp(task, id);
    expect(infos[0]!.portMappings).toEqual([
      { hostPort: 31400, containerPort: 8080, protocol: 'TCP' },
      { hostPort: 31500, containerPort: 8081, protocol: 'TCP' },
    ]);
    await bed.serve(id, 8080, 'allocated');
    await bed.serve(id, 8081, 'fixed');
    expect(bed.inHost('curl', '-sS', '--max-time', '10', 'http://10.77.0.1:31400/')).toBe('allocated');
    expect(bed.inHost('curl', '-sS', '--max-time', '10', 'http://127.0.0.1:31500/')).toBe('fixed');
    await bed.networks.tearDown(id);
    expect(() => bed.inHost('curl', '-sS', '--max-time', '2', 'http://10.77.0.1:31400/')).toThrow('curl');
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('as many set-ups at once as an agent has slots give as many addresses, and leave nothing', async () => {
    const ids = Array.from({ length: 8 }, () => randomUUID());
    const task = (index: number) =>
      cniTask(
        { networks: [{ name: 'blue' }] },
        { containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 80, hostPort: 31700 + index }] }] },
        `t${index}`,
      );
    const made = await Promise.all(ids.map((id, index) => bed.networks.setUp(task(index), id)));
    const addresses = made.map(({ infos }) => infos[0]!.ipAddresses![0]!);
    expect(new Set(addresses).size).toBe(8);
    await bed.serve(ids[7]!, 80, 'the last');
    expect(bed.inHost('curl', '-sS', '--max-time', '10', 'http://10.77.0.1:31707/')).toBe('the last');
    await Promise.all(ids.map((id) => bed.networks.tearDown(id)));
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('several networks give several interfaces, by place or by name; an address can be asked for', async () => {
    const id = randomUUID();
    const networks = [
      { name: 'red', ipAddresses: ['10.78.0.99'] },
      { name: 'blue', interfaceName: 'storage0' },
    ];
    const { infos } = await bed.networks.setUp(cniTask({ networks }), id);
    expect(infos.map(({ name, interfaceName }) => [name, interfaceName])).toEqual([
      ['red', 'eth0'],
      ['blue', 'storage0'],
    ]);
    expect(infos[0]!.ipAddresses).toEqual(['10.78.0.99']);
    const seen = bed
      .inTask(id, 'ip', '-o', '-4', 'address')
      .split('\n')
      .map((line) => line.split(/\s+/)[1]);
    expect(seen.filter(Boolean).sort()).toEqual(['eth0', 'lo', 'storage0']);
    const taken = bed.networks.setUp(cniTask({ networks: networks.slice(0, 1) }), randomUUID());
    await expect(taken).rejects.toThrow(/"bridge" failed ADD.*10\.78\.0\.99/);
    await bed.networks.tearDown(id);
    expect(await bed.leftovers()).toEqual(nothing);
  });

  test('setting up again gives what is there; a running task is taken back and checked after a restart of the agent', async () => {
    const id = randomUUID();
    const task = cniTask({ networks: [{ name: 'blue' }] });
    const first = await bed.networks.setUp(task, id);
    expect(await bed.networks.setUp(task, id)).toEqual(first);
    await bed.reopen();
    await bed.networks.recover([id]);
    await bed.networks.close();
    expect(bed.logged).toEqual([]);
    expect(await bed.networks.setUp(task, id)).toEqual(first);
    bed.inTask(id, 'ip', 'route', 'del', 'default');
    await bed.reopen();
    await bed.networks.recover([id]);
    await bed.networks.close();
    expect(bed.logged.splice(0)).toMatchObject([
      {
        msg: 'a plug-in says that the network of a running task has changed',
        err: { message: expect.stringContaining('"bridge" failed CHECK') },
      },
    ]);
    await bed.reopen();
    await bed.networks.recover([]);
    expect(await bed.leftovers()).toEqual(nothing);
  });
});
