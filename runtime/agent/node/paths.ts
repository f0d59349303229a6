/** Where the agent keeps what: durable things below the data directory, per-boot things (sockets) below /run. */
import { createHash } from 'node:crypto';
import { chmod, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultRuntimeRoot } from '../../rootless/directories.ts';

export interface AgentPaths {
  dataDir: string;
  root: string;
  meta: string;
  taskRecords: string;
  containers: string;
  sandboxes: string;
  volumes: string;
  /** The image store. */
  images: string;
  /** The fetcher's cache and unfinished files. */
  fetcher: string;
  /** The operator's registries; need not exist. */
  registries: string;
  /** Survives the agent process, not a reboot. Short, because socket paths have at most 107 bytes. */
  runtimeDir: string;
  socket: string;
  /** Names this data directory on the machine: cgroups and the runtime directory carry it. */
  instance: string;
}

/** Makes the directories that must exist and resolves the rest. `runtimeRoot` defaults to /run/tepui, or to the user's own place without root. */
export async function preparePaths(dataDir: string, runtimeRoot = defaultRuntimeRoot()): Promise<AgentPaths> {
  await mkdir(dataDir, { recursive: true });
  const paths = agentPaths(await realpath(dataDir), runtimeRoot);
  await mkdir(paths.root, { recursive: true, mode: 0o700 });
  // Nobody else passes: a task of root's may leave setuid programs in its sandbox and its volumes, and open them to everybody.
  await chmod(paths.root, 0o700);
  await mkdir(paths.meta, { recursive: true, mode: 0o700 });
  await mkdir(paths.sandboxes, { recursive: true, mode: 0o755 });
  await mkdir(paths.volumes, { recursive: true, mode: 0o700 });
  await mkdir(paths.runtimeDir, { recursive: true, mode: 0o700 });
  return paths;
}

/** Pure. `dataDir` is a real path. */
export function agentPaths(dataDir: string, runtimeRoot: string): AgentPaths {
  const instance = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const root = join(dataDir, 'agent');
  const meta = join(root, 'meta');
  const runtimeDir = join(runtimeRoot, instance);
  return {
    dataDir,
    root,
    meta,
    taskRecords: join(meta, 'tasks'),
    containers: join(root, 'containers'),
    sandboxes: join(root, 'sandboxes'),
    volumes: join(root, 'volumes'),
    images: join(root, 'images'),
    fetcher: join(root, 'fetcher'),
    registries: join(root, 'registries.yaml'),
    runtimeDir,
    socket: join(runtimeDir, 'agent.sock'),
    instance,
  };
}
