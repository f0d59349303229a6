import { createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { visibleNode } from '../visible-node.ts';
import { eventually, startNode, type TestNode, unavailable } from './harness.ts';

// The first test of a machine compiles the launcher, which takes its time on a busy one.
jest.setTimeout(120_000);

const when = unavailable ? test.skip : test;
let node: TestNode;
let host: Server;
let runtime: ReturnType<typeof visibleNode> | undefined;
beforeAll(async () => {
  if (unavailable) return console.log(`skipped: ${unavailable}`);
  node = await startNode();
  host = createServer((socket) => socket.end('the host')).listen(0, '127.0.0.1');
  await eventually(() => host.listening, 'the listener');
});
afterAll(async () => {
  host?.close();
  await node?.close();
  runtime?.remove();
});
const hostPort = (): number => (host.address() as { port: number }).port;

when('with the host network, a dialled port is a port of the host', async () => {
  const spec = node.spec({ command: ['sleep', '1000'] });
  await node.containerizer.launch(spec);
  const stream = await node.containerizer.dial!(spec.containerId, hostPort());
  expect(await text(stream)).toBe('the host');
  await node.containerizer.destroy(spec.containerId);
  await expect(node.containerizer.dial!(spec.containerId, hostPort())).rejects.toThrow('is not running');
});

when('with a network of its own, a dialled port is a port of the container, also for a later agent', async () => {
  const port = hostPort();
  const script = `require('net').createServer((s) => s.end('the container')).listen(${port}, '127.0.0.1', () => console.log('up'))`;
  runtime = visibleNode();
  const spec = node.spec({ command: [runtime.path, '-e', script] }, { task: { network: { mode: 'None' } } });
  await node.containerizer.launch(spec);
  await eventually(() => node.output(spec).includes('up'), 'the server');
  expect(await text(await node.containerizer.dial!(spec.containerId, port))).toBe('the container');
  await node.restart();
  await node.containerizer.recover([spec.containerId]);
  expect(await text(await node.containerizer.dial!(spec.containerId, port))).toBe('the container');
  await expect(node.containerizer.dial!(spec.containerId, port, '127.0.0.2')).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  });
  await node.containerizer.destroy(spec.containerId);
});
