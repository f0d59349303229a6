import type { ChildProcess } from 'node:child_process';

/**
 * Keeps what a child has written until somebody reads it. When a child exits, Node reads and throws away what is left in streams that nobody
 * reads yet: whoever comes a moment later would find a silent end. It goes through `child.stdio`, so a stream that is not in there is spared.
 */
export function keepUnread(child: ChildProcess, ...descriptors: number[]): void {
  const streams = child.stdio as unknown[];
  for (const descriptor of descriptors) streams[descriptor] = null;
}
