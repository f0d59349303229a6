import { createServer, type Socket } from 'node:net';
import type { Command } from 'commander';
import { FORWARD_CHANNEL } from '../../runtime/agent/endpoint/channels.ts';
import { type AgentEndpoint, agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { endRequested } from '../lifetime.ts';
import { parsePort } from '../numbers.ts';
import { runningTask } from '../task-of.ts';

interface PortForwardOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  address: string;
}

export interface PortMapping {
  /** 0: any free one. */
  local: number;
  remote: number;
}

/** `tepui port-forward TASK [LOCAL:]REMOTE...`: connections to ports here go to ports on the task's loopback. */
export function addPortForwardCommand(program: Command): void {
  withConnection(
    program
      .command('port-forward')
      .description("forward ports of this machine to ports on a task's loopback")
      .argument('<task>', 'name of the task')
      .argument('<ports...>', 'PORT, LOCAL:REMOTE, or :REMOTE for any free local port'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('--address <address>', 'address of this machine to listen on', '127.0.0.1')
    .addHelpText(
      'after',
      '\nEnds with ctrl-c. Each connection is one of its own; one that fails does not end the others.',
    )
    .action(async (name: string, ports: string[], options: PortForwardOptions) => {
      const mappings = ports.map(parseMapping);
      const client = await connect(options);
      const token = await tokenOf(options);
      const endpoint = async (): Promise<AgentEndpoint> => {
        const { agent } = await runningTask(client, options.namespace, name);
        return agentEndpoint(client, agent, token);
      };
      const first = await endpoint();
      let current = first;
      const path = (port: number) => {
        const query = new URLSearchParams({
          port: String(port),
          ...(options.container && { container: options.container }),
        });
        return `/portforward/${options.namespace}/${name}?${query}`;
      };
      const ended = endRequested();
      const servers = await Promise.all(
        mappings.map(({ local, remote }) =>
          listen(options.address, local, remote, (socket) =>
            forward(socket, path(remote), {
              get: () => current,
              // The agent may have been restarted, and listen elsewhere.
              renew: async () => {
                current = await endpoint();
                return current;
              },
            }),
          ),
        ),
      );
      await ended;
      for (const server of servers) server.close();
    });
}

/** Throws a CliError. */
export function parseMapping(text: string): PortMapping {
  const [, local, remote] = /^(?:(\d*):)?(\d+)$/.exec(text) ?? [];
  try {
    if (remote === undefined) throw new Error('must be PORT, LOCAL:REMOTE or :REMOTE');
    const target = parsePort(remote);
    if (target === 0) throw new Error('the port of the task cannot be 0');
    return { remote: target, local: local === undefined ? target : local === '' ? 0 : parsePort(local) };
  } catch (error) {
    throw new CliError(`port "${text}": ${(error as Error).message}`, EXIT_CODES.usage.code);
  }
}

function listen(address: string, local: number, remote: number, onConnection: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
  return new Promise<typeof server>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new CliError(`cannot listen on ${address}:${local}: ${error.message}`, EXIT_CODES.failed.code)),
    );
    server.listen(local, address, () => {
      const { port } = server.address() as { port: number };
      const shown = address.includes(':') ? `[${address}]` : address;
      process.stdout.write(`Forwarding from ${shown}:${port} -> ${remote}\n`);
      resolve(server);
    });
  });
}

interface Endpoints {
  get(): AgentEndpoint;
  renew(): Promise<AgentEndpoint>;
}

/** One connection. Failures are told, and end it alone. */
async function forward(socket: Socket, path: string, endpoints: Endpoints): Promise<void> {
  const complain = (message: string): void => {
    process.stderr.write(`tepui: a connection was not forwarded: ${message}\n`);
    socket.resetAndDestroy();
  };
  socket.on('error', () => {});
  socket.pause();
  let remote = endpoints.get().webSocket(path, ['v5.channel.k8s.io']);
  const opened = await opening(remote)
    .catch(async () => {
      remote = (await endpoints.renew()).webSocket(path, ['v5.channel.k8s.io']);
      return opening(remote);
    })
    .catch((error: Error) => error);
  if (opened instanceof Error) return complain(opened.message);
  let isEnded = false;
  remote.on('message', (data: Buffer) => {
    const payload = data.subarray(1);
    if (data[0] === FORWARD_CHANNEL.error) return complain(payload.toString());
    if (data[0] === FORWARD_CHANNEL.close) {
      isEnded = true;
      return void socket.end();
    }
    if (data[0] !== FORWARD_CHANNEL.data || socket.write(payload)) return;
    remote.pause();
    socket.once('drain', () => remote.resume());
  });
  // A reader that is slow still gets what has arrived, and learns by a reset that more should have come.
  remote
    .on('error', () => {})
    .on('close', () => (isEnded ? socket.destroySoon() : void socket.write('', () => socket.resetAndDestroy())));
  socket.on('data', (chunk: Buffer) => {
    socket.pause();
    remote.send(Buffer.concat([Buffer.of(FORWARD_CHANNEL.data), chunk]), () => socket.resume());
  });
  socket.on('end', () => remote.send(Buffer.of(FORWARD_CHANNEL.close, FORWARD_CHANNEL.data)));
  // With both directions ended the agent closes, once the task has got everything. Of a client that went before, the other end is cut off: while it is
  // paused it would not see a proper closing.
  socket.on('close', () => (isEnded && socket.readableEnded) || remote.terminate());
  if (socket.destroyed) remote.terminate();
  socket.resume();
}

/** Until the WebSocket is open; what comes then waits for its reader. */
function opening(remote: ReturnType<AgentEndpoint['webSocket']>): Promise<undefined> {
  return new Promise((resolve, reject) => {
    remote.once('error', reject);
    remote.once('open', () => {
      remote.off('error', reject);
      resolve(undefined);
    });
  });
}
