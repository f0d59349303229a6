/**
 * One isolator is one file and one idea: it contributes data to the launch, and keeps one kind of limit while the container runs.
 * The order of isolators is the visible array in index.ts; cleanup runs in reverse.
 */
import type { ContainerResources, LaunchSpec, ResourceStatistics } from '../containerizers/containerizer.ts';
import type { Operation } from '../launcher/operations.ts';

/** What one isolator contributes to the launch. Everything is data: an isolator never executes anything in the container. */
export interface LaunchContribution {
  namespaces?: ('mount' | 'pid' | 'ipc' | 'uts' | 'cgroup' | 'network')[];
  /** Carried out by the launcher in the container's first process, in isolator order. */
  operations?: Operation[];
  env?: Record<string, string>;
}

export interface Limitation {
  reason: string;
  message: string;
  resource: string;
}

export interface Isolator {
  readonly name: string;
  /** Before the launch. May create host state (a cgroup): it must be removable by `cleanup` alone, also after a crash between the two. */
  prepare?(spec: LaunchSpec): Promise<LaunchContribution>;
  /** Resolves when the container must be ended, never otherwise; ends quietly on abort. */
  watch?(containerId: string, signal: AbortSignal): Promise<Limitation>;
  update?(containerId: string, resources: ContainerResources): Promise<void>;
  usage?(containerId: string): Promise<Partial<ResourceStatistics>>;
  /** Takes over a container of an earlier agent process. */
  recover?(containerId: string): Promise<void>;
  /** Removes what prepare made. Idempotent; tolerates unknown ids. */
  cleanup?(containerId: string): Promise<void>;
}
