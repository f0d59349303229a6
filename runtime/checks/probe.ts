/** One attempt of a check, whatever its action. */
import type { ExecAction, GrpcAction, HttpAction, TcpAction } from '../../crds/types.generated.ts';
import { probeExec } from './probes/exec.ts';
import { probeGrpc } from './probes/grpc.ts';
import { probeHttp } from './probes/http.ts';
import { probeTcp } from './probes/tcp.ts';
import { failure, type ProbeOutcome } from './result.ts';
import type { CheckTarget } from './target.ts';

export interface CheckAction {
  exec?: ExecAction;
  http?: HttpAction;
  tcp?: TcpAction;
  grpc?: GrpcAction;
}

/** Finds the port of an action; undefined when its name is unknown. */
export type PortLookup = (name: string) => number | undefined;

/** Never rejects. After an abort it resolves once nothing of the attempt is left. */
export async function probe(
  { exec, http, tcp, grpc }: CheckAction,
  target: CheckTarget,
  portNamed: PortLookup,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  if (exec) return probeExec(exec, target, signal);
  const action = http ?? tcp ?? grpc;
  const port = action?.port ?? (action?.portName === undefined ? undefined : portNamed(action.portName));
  if (port === undefined) return failure(`the container has no port named "${action?.portName}"`);
  if (http) return probeHttp({ scheme: http.scheme ?? 'HTTP', path: http.path ?? '/', port }, target, signal);
  if (tcp) return probeTcp(port, target, signal);
  return probeGrpc({ ...grpc, port }, target, signal);
}
