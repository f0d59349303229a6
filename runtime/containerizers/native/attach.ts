/** Joining the standard streams of a container that has a terminal or an open standard input. */
import { setTimeout as delay } from 'node:timers/promises';
import { attachToSupervisor } from '../../launcher/attach.ts';
import type { AttachRequest, ExecSession, Termination } from '../containerizer.ts';
import type { NativeContext } from './context.ts';
import { ContainerNotRunning } from './exec.ts';

/** How long the loss of a supervisor takes at most to be known. */
const LOSS_MS = 2_000;

/** The container has neither terminal nor open input. */
export class NotAttachable extends Error {
  override name = 'NotAttachable';
}

/** Rejects with NotAttachable or ContainerNotRunning. `exit` tells how the container ended; it rejects with Detached when it still runs. */
export async function attachToContainer(
  { containers, launcher }: NativeContext,
  { containerId, output = true, history = false }: AttachRequest,
): Promise<ExecSession> {
  const container = containers.get(containerId);
  if (!container?.launched || !container.spec || container.ended) throw new ContainerNotRunning(containerId);
  const { tty = false, stdin = false } = container.spec.container;
  if (!tty && !stdin)
    throw new NotAttachable(
      'the container has neither a terminal (tty) nor an open standard input (stdin): read its log',
    );
  const attachment = await attachToSupervisor(launcher.runtimeDir, container.launched, { output, history }).catch(
    (cause: unknown) => {
      // It ends at this moment, or its supervisor was killed.
      throw new ContainerNotRunning(containerId, { cause });
    },
  );
  const exit = attachment.closed.then(async (how) => {
    if (how === 'ended') return endOf(await container.termination.promise);
    if (how === 'detached') throw new Detached('detached; the container goes on');
    // Its supervisor closed the connection without a last word: it was killed, and the container with it, or we were too slow for it.
    // An end that is known is none of its supervisor's: then a part of the output is missing here, and must not pass for the whole.
    const killed = await Promise.race([container.termination.promise, delay(LOSS_MS, undefined, { ref: false })]);
    if (killed?.lost) return endOf(killed);
    throw new Detached('detached because the output was read too slowly; the log of the container has everything');
  });
  exit.catch(() => {});
  return {
    ...(stdin && { stdin: attachment.stdin }),
    stdout: attachment.stdout,
    ...(tty ? {} : { stderr: attachment.stderr }),
    resize: attachment.resize,
    signal: () => {},
    closeStdin: stdin ? attachment.closeStdin : () => {},
    detach: attachment.detach,
    exit,
  };
}

export class Detached extends Error {
  override name = 'Detached';
}

function endOf({ exitCode, signal }: Termination): { exitCode?: number; signal?: number } {
  return { ...(exitCode !== undefined && { exitCode }), ...(signal !== undefined && { signal }) };
}
