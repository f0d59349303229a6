/** Host ports that nobody gave: with real listeners, on ports of the range that are free on this machine. */
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { parseSocketTable } from '../../../runtime/network/ports/listening-sockets.ts';
import { givenPorts } from '../../../runtime/network/ports/violations.ts';
import { eventually, startNode, type TestNode, unavailable } from '../containerizers/harness.ts';

const suite = unavailable ? describe.skip : describe;

/** Free ones at this moment, next to each other in no way. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<Server>((resolve) => {
          const server = createServer();
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

const listen = (port: number, host = '127.0.0.1') => ({
  command: [
    process.execPath,
    '-e',
    `require('net').createServer().listen(${port}, '${host}', () => console.log('ready'))`,
  ],
});

suite('enforced host ports', () => {
  let node: TestNode;
  let ports: number[];
  /** Above all others: not in the agent's range. */
  let outside: number;
  beforeAll(async () => {
    const found = (await freePorts(4)).sort((a, b) => a - b);
    outside = found.pop()!;
    ports = found;
    node = await startNode({
      options: { portRanges: () => `1-2,${Math.min(...ports)}-${Math.max(...ports)}`, portsIntervalMs: 100 },
    });
  });
  afterAll(() => node?.close());
  beforeEach(() => {
    node.isolation.enforcePorts = true;
  });
  const resources = { requests: { cpus: 0.5, memBytes: 256 << 20 }, limits: {} };
  const given = (port: number) => ({
    binding: { agentName: 'a', hostPorts: [{ container: 'main', name: 'http', hostPort: port }] },
  });

  test('a container that listens on a port it was not given is ended, with the reason', async () => {
    const [own, other] = ports as [number, number, number];
    const { termination } = await node.run(listen(other), { task: given(own), resources });
    expect(termination.limitation).toEqual({
      reason: 'ContainerLimitation',
      resource: 'ports',
      message: `It listens on TCP port ${other}, which it was not given (it has ${own}). Declare it in ports of the container, or listen on $PORT_<NAME>`,
    });
  });

  test('a child of a child that listens over IPv6 is found, also by the agent after', async () => {
    node.isolation.enforcePorts = false;
    const port = ports[1]!;
    const spec = node.spec(
      {
        shell: `(${process.execPath} -e "require('net').createServer().listen(${port}, '::1', () => console.log('ready'))" & wait)`,
      },
      { resources },
    );
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'the listener');
    await node.restart();
    await node.containerizer.recover([spec.containerId]);
    node.isolation.enforcePorts = true;
    const { limitation } = await node.containerizer.wait(spec.containerId);
    expect(limitation).toMatchObject({
      reason: 'ContainerLimitation',
      message: expect.stringContaining(`TCP port ${port}, which it was not given (it has none)`),
    });
    await node.containerizer.destroy(spec.containerId);
  });

  test('what it was given, what is outside the range, and networks of its own are let be', async () => {
    const [own] = ports as [number];
    const specs = [
      node.spec(listen(own), { task: given(own), resources }),
      node.spec(listen(outside), { resources }),
      node.spec(listen(ports[2]!), { task: { network: { mode: 'None' } }, resources }),
    ];
    for (const spec of specs) await node.containerizer.launch(spec);
    await eventually(() => specs.every((spec) => node.output(spec).includes('ready')), 'the listeners');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    for (const spec of specs) {
      await node.containerizer.signal(spec.containerId, 9);
      const { limitation, signal } = await node.containerizer.wait(spec.containerId);
      expect({ limitation, signal }).toEqual({ limitation: undefined, signal: 9 });
      await node.containerizer.destroy(spec.containerId);
    }
  });

  test('nothing is enforced unless the operator wants it', async () => {
    node.isolation.enforcePorts = false;
    const spec = node.spec(listen(ports[2]!), { resources });
    await node.containerizer.launch(spec);
    await eventually(() => node.output(spec).includes('ready'), 'the listener');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await node.containerizer.signal(spec.containerId, 9);
    expect((await node.containerizer.wait(spec.containerId)).limitation).toBeUndefined();
    await node.containerizer.destroy(spec.containerId);
  });
});

test("the kernel's table of sockets: listeners of both families, with port and inode", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:7918 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:7919 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0
   2: 00000000000000000000000001000000:791A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1`;
  expect(parseSocketTable(table)).toEqual([
    ['4711', 31000],
    ['4713', 31002],
  ]);
  expect(parseSocketTable('')).toEqual([]);
});

test('ports are given to the whole task', () => {
  const task = {
    metadata: {},
    spec: {
      binding: { agentName: 'a', hostPorts: [{ container: 'a', name: 'x', hostPort: 31001 }] },
      containers: [
        { name: 'a', ports: [{ name: 'x', hostPort: 0 }] },
        { name: 'b', ports: [{ name: 'y', hostPort: 8080 }] },
      ],
    },
  };
  expect([...givenPorts(task)].sort()).toEqual([31001, 8080]);
});
