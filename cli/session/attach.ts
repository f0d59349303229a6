/** Attaching to a container, also over an agent that is exchanged meanwhile. */
import type { Task } from '../../crds/types.generated.ts';
import type { AgentEndpoint } from '../agent-endpoint.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { isUnreachable, reconnecting } from '../reconnect.ts';
import { openConsole } from './console.ts';
import { type Outcome, runSession } from './session.ts';

export interface AttachOptions {
  namespace: string;
  task: string;
  container?: string;
  /** Pass standard input on. */
  stdin: boolean;
  /** The container has a terminal, and so have we. */
  tty: boolean;
  /** Whether its output is wanted. Default true. */
  output?: boolean;
  /** When standard input ends, end the container's. */
  closeStdin: boolean;
  detachKeys?: Buffer;
}

/** `endpoint` is asked for anew for each connection. Rejects with CliError. */
export async function attach(endpoint: () => Promise<AgentEndpoint>, options: AttachOptions): Promise<Outcome> {
  const { namespace, task, container, stdin, tty, output = true } = options;
  const local = openConsole({ raw: tty && stdin });
  const connectOnce = async (isFirst: boolean): Promise<Outcome> => {
    const query = new URLSearchParams({
      stdin: String(stdin),
      output: String(output),
      history: String(tty && isFirst),
      ...(container && { container }),
    });
    const socket = (await endpoint()).webSocket(`/attach/${namespace}/${task}?${query}`, ['v5.channel.k8s.io']);
    return runSession(socket, local, {
      stdin,
      tty,
      passEnd: options.closeStdin,
      redraw: tty,
      ...(options.detachKeys && { detachKeys: options.detachKeys }),
    });
  };
  try {
    let outcome = await connectOnce(true);
    while (outcome.kind === 'lost') {
      process.stderr.write('tepui: the agent went away; attaching again\r\n');
      // The API server may have gone with it, and say so in its own way.
      outcome = await reconnecting(
        () => connectOnce(false),
        (error) => !(error instanceof CliError) || isUnreachable(error),
      );
    }
    return outcome;
  } finally {
    local.close();
  }
}

/** What the document says of a container's streams. Without a name it is the first. */
export function streamsOf(task: Task, name?: string): { name: string; tty: boolean; stdin: boolean } {
  const containers = task.spec.containers ?? [];
  const container = name === undefined ? containers[0] : containers.find((each) => each.name === name);
  if (container) return { name: container.name, tty: container.tty ?? false, stdin: container.stdin ?? false };
  const names = containers.map((each) => each.name).join(', ');
  throw new CliError(
    `task "${task.metadata?.name}" has no container "${name}"; it has ${names}`,
    EXIT_CODES.notFound.code,
  );
}
