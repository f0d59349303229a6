/**
 * Somebody else who makes containers out of our launch data: an OCI runtime. The launcher then supervises the runtime's own process, so that
 * records, logs, recovery, limits and accounting are the same as for containers that the launcher makes itself.
 */
import type { ContainerSpec, Limitation } from '../../isolators/isolator.ts';
import type { ExecLaunchRequest, ExitRecord, LaunchRequest } from '../../launcher/operations.ts';
import type { ExecRequest, LaunchedContainer } from '../containerizer.ts';

export interface Delegate {
  /** Writes what the runtime reads, and returns what the launcher runs in place of `request`. Throws IsolationRefused for what cannot be handed over. */
  adapt(request: LaunchRequest, spec: ContainerSpec): Promise<LaunchRequest>;
  /**
   * Resolves when the container runs or has run, rejects when the runtime could not make it. `supervised` is the runtime's process;
   * `ended` resolves when that has gone.
   */
  started(supervised: LaunchedContainer, ended: Promise<unknown>): Promise<void>;
  /** To every process of the container. */
  signal(containerId: string, signal: number): Promise<void>;
  /** Why it ended, where the counters that the isolators read went with the runtime's own cgroup. */
  limitation(record: ExitRecord): Limitation | undefined;
  /** A further command: what is run beside the runtime's process. `done` is called when it has ended; `signal` reaches the command itself. */
  exec(request: ExecRequest, supervised: LaunchedContainer, env: Record<string, string>): Promise<DelegatedExec>;
  /** The container's own first process; undefined when it is gone. */
  processOf(containerId: string): Pick<LaunchedContainer, 'pid' | 'startTimeTicks'> | undefined;
  /** Removes what is left of a container. Idempotent; tolerates unknown ids. */
  remove(containerId: string): Promise<void>;
}

export interface DelegatedExec {
  launch: ExecLaunchRequest;
  signal(signal: number): void;
  done(): void;
}
