/**
 * What a containerizer keeps of its containers:
 *
 *   <runtimeDir>/launches/<id>.json    written before anything is made; per boot and in memory (tmpfs), because after a power cut nothing of the
 *                                      container is left to be found, and because it has the environment, which may hold secrets
 *   <dataDir>/agent/containers/<id>.json  how it ended; written durably by its supervisor. One flat directory: fsync of a file in a directory
 *                                      of its own would have to write the directory as well
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import type { ContainerSpec } from '../../isolators/isolator.ts';
import { parseExitRecord } from '../../launcher/exit-record.ts';
import type { ExitRecord } from '../../launcher/operations.ts';
import type { ContainerResources } from '../containerizer.ts';

export interface LaunchRecord {
  bootId: string;
  spec: ContainerSpec;
  env: Record<string, string>;
  /** As Container.counted. */
  counted?: Record<string, ContainerResources>;
}

export interface ContainerRecords {
  exitPath(containerId: string): string;
  /** Throws when there is one already: ids are never used twice. */
  writeLaunch(record: LaunchRecord): void;
  /** In one step: its container may run, and without a record it would be nobody's. */
  rewriteLaunch(record: LaunchRecord): void;
  readLaunch(containerId: string): LaunchRecord | undefined;
  readExit(containerId: string): ExitRecord | undefined;
  /** Ids of all containers with a record of either kind. */
  list(): string[];
  remove(containerId: string): Promise<void>;
}

/** Both directories are made when missing, for root only. */
export function openRecords(exitDirectory: string, launchDirectory: string): ContainerRecords {
  for (const directory of [exitDirectory, launchDirectory]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  removeUnfinished(launchDirectory);
  const exitPath = (id: string) => `${exitDirectory}/${checkedId(id)}.json`;
  const launchPath = (id: string) => `${launchDirectory}/${checkedId(id)}.json`;
  const textOf = (record: LaunchRecord) => JSON.stringify(record, infinityAsText);

  return {
    exitPath,
    writeLaunch: (record) =>
      writeFileSync(launchPath(record.spec.containerId), textOf(record), { mode: 0o600, flag: 'wx' }),
    rewriteLaunch: (record) => replaceFile(launchPath(record.spec.containerId), textOf(record)),
    readLaunch: (id) => parseLaunch(readIfThere(launchPath(id))),
    // The supervisor reserves the file at the launch: it is blank until the container has ended.
    readExit: (id) => parseExitRecord(readIfThere(exitPath(id)) ?? ''),
    list: () => [...new Set([...idsIn(launchDirectory), ...idsIn(exitDirectory)])],
    async remove(id) {
      // Not on this thread: to free a file's blocks can wait for the disk.
      await unlinkIfThere(exitPath(id));
      await unlinkIfThere(launchPath(id));
    },
  };
}

const unfinished = '.new';

/** For root only. Whoever reads, and an agent that comes after one that was killed, finds the old text or the new one whole. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}${unfinished}`, text, { mode: 0o600 });
  renameSync(`${path}${unfinished}`, path);
}

/** What a `replaceFile` that was killed left in the directory. */
export function removeUnfinished(directory: string): void {
  for (const name of readdirSync(directory)) if (name.endsWith(unfinished)) rmSync(`${directory}/${name}`);
}

/** Ids become file and cgroup names. */
export function checkedId(id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)) throw new Error(`"${id}" is no container id`);
  return id;
}

function idsIn(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -'.json'.length)] : []));
}

/** undefined when it is missing, or torn by a crash while it was written: then nothing had been made yet. */
function parseLaunch(text: string | undefined): LaunchRecord | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text, textAsInfinity) as LaunchRecord);
  } catch {
    return undefined;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

// JSON turns Infinity, which means "no limit", into null.
const infinityText = '\u0000Infinity';
const infinityAsText = (_key: string, value: unknown): unknown => (value === Infinity ? infinityText : value);
const textAsInfinity = (_key: string, value: unknown): unknown => (value === infinityText ? Infinity : value);

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
