/** A TCP connection to a port of a running container, from inside its network namespace. */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ContainerSpec } from '../../isolators/isolator.ts';
import { addressesOf, dial } from '../../launcher/dial.ts';
import type { NativeContext } from './context.ts';
import { ContainerNotRunning } from './exec.ts';

export interface DialTarget {
  containerId: string;
  port: number;
  host?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Rejects with an error whose `code` is that of a failed connect (ECONNREFUSED ...). */
export async function dialContainer(
  { containers, launcher, delegate }: NativeContext,
  { containerId, port, host, signal }: DialTarget,
): Promise<Duplex> {
  const container = containers.get(containerId);
  if (!container?.launched || container.ended) throw new ContainerNotRunning(containerId);
  // Without its specification (taken back only to be removed) nothing is known of its network.
  if (container.spec && usesHostNetwork(container.spec)) return dialHost(addressesOf(host), port, signal);
  const { pid, startTimeTicks } = delegate?.processOf(containerId) ?? container.launched;
  return dial(launcher.binary, {
    pid,
    startTimeTicks,
    port,
    ...(host !== undefined && { host }),
    ...(signal && { signal }),
  });
}

function usesHostNetwork({ network, task }: ContainerSpec): boolean {
  return !network?.namespacePath && (task.spec.network?.mode ?? 'Host') === 'Host';
}

/** The first address that answers; else the failure of the first, as in the launcher. */
export async function dialHost(addresses: string[], port: number, signal?: AbortSignal): Promise<Duplex> {
  const failures: Error[] = [];
  for (const host of addresses) {
    signal?.throwIfAborted();
    try {
      return await connected(host, port, signal);
    } catch (error) {
      failures.push(error as Error);
    }
  }
  throw failures[0];
}

function connected(host: string, port: number, signal?: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const giveUp = (): void => void socket.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', giveUp, { once: true });
    socket.once('close', () => signal?.removeEventListener('abort', giveUp));
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject);
      signal?.removeEventListener('abort', giveUp);
      resolve(socket);
    });
  });
}
