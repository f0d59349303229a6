/** The files of a task that say who it is and how names are found: written once per run, bound into each of its containers. */
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { hostname as hostName } from 'node:os';
import { join } from 'node:path';
import type { Task } from '../../../crds/types.generated.ts';
import type { ContainerNetwork } from '../../containerizers/containerizer.ts';
import type { CniDns } from '../cni/result.ts';
import { hostsFile } from './hosts.ts';
import { hostResolvConf, resolvConf } from './resolv-conf.ts';

export const TASK_FILES = ['hosts', 'resolv.conf', 'hostname'] as const;

/** Whether the task needs files of its own: else the host's are there (or, with an image, copies of them), and they are right. */
export function needsFiles({ spec }: Task): boolean {
  const { mode, hostname, hostAliases = [], dns } = spec.network ?? {};
  return mode === 'Cni' || hostname !== undefined || hostAliases.length > 0 || dns !== undefined;
}

/** Whether `Networks.setUp` has anything to make for the task. */
export function needsNetwork(task: Task): boolean {
  const { network, initContainers = [], containers } = task.spec;
  const isShared = network?.mode === 'None' && initContainers.length + containers.length > 1;
  return network?.mode === 'Cni' || isShared || needsFiles(task);
}

/** The name the task's containers have: the document's, else the agent's with its network, else the task's. */
export function hostnameOf({ metadata, spec }: Task): string {
  const { hostname, mode = 'Host' } = spec.network ?? {};
  return hostname ?? (mode === 'Host' ? hostName() : (metadata.name ?? 'localhost').slice(0, 63));
}

/** Writes them into the directory; each is whole at every moment. */
export async function writeTaskFiles(
  directory: string,
  task: Task,
  { addresses, dns }: { addresses: string[]; dns: CniDns[] },
): Promise<NonNullable<ContainerNetwork['files']>> {
  const { mode = 'Host', hostAliases = [], dns: wanted } = task.spec.network ?? {};
  const hostname = hostnameOf(task);
  const isHost = mode === 'Host';
  const [hostFile, host] = await Promise.all([
    isHost ? readFile('/etc/hosts', 'utf8').catch(() => '') : undefined,
    hostResolvConf(!isHost),
  ]);
  const contents: Record<(typeof TASK_FILES)[number], string> = {
    hosts: hostsFile({ ...(hostFile !== undefined && { hostFile }), hostname, addresses, aliases: hostAliases }),
    // The host's own words where nothing is changed: it may hold more than we read.
    'resolv.conf': isHost && wanted === undefined ? host : resolvConf({ document: wanted, networks: dns, host }),
    hostname: `${hostname}\n`,
  };
  await Promise.all(TASK_FILES.map((name) => write(join(directory, name), contents[name])));
  return {
    hosts: join(directory, 'hosts'),
    resolvConf: join(directory, 'resolv.conf'),
    hostname: join(directory, 'hostname'),
  };
}

async function write(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, content);
  // Whatever this process's umask: every user of the task reads it.
  await chmod(temporary, 0o644);
  await rename(temporary, path);
}
