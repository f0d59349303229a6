/** A TCP connection: that it is made is success. */
import { type ProbeOutcome, success } from '../result.ts';
import type { CheckTarget } from '../target.ts';
import { withConnection } from './connect.ts';

export function probeTcp(port: number, target: CheckTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  return withConnection(target, port, signal, async () => success(`port ${port} accepts connections`));
}
