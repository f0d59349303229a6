/**
 * What the runtime is given of each container, and what it leaves: `<directory>/<id>/` with `config.json` (it has the environment: root only), `pid` and
 * `log`. On tmpfs: after a restart of the machine nothing of it is wanted.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { checkedId } from '../native/records.ts';

export interface Bundles {
  pathOf(containerId: string): string;
  pidFile(containerId: string): string;
  logFile(containerId: string): string;
  write(containerId: string, config: unknown): void;
  /** The description of a further command (with its environment: root only), and where its pid will be. */
  writeExec(containerId: string, name: string, process: unknown): { process: string; pid: string; remove(): void };
  /** Of the container's first process; undefined before it is there. */
  pid(containerId: string): number | undefined;
  /** The last complaint in the runtime's log. */
  complaint(containerId: string): string | undefined;
  remove(containerId: string): void;
}

const execPrefix = 'exec-';

export function openBundles(directory: string): Bundles {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pathOf = (id: string) => `${directory}/${checkedId(id)}`;
  // The environments of commands that an earlier agent ran, and whose names are ours if it had our pid, as in a pod.
  for (const id of readdirSync(directory))
    for (const file of readdirSync(pathOf(id)))
      if (file.startsWith(execPrefix)) rmSync(`${pathOf(id)}/${file}`, { force: true });
  return {
    pathOf,
    pidFile: (id) => `${pathOf(id)}/pid`,
    logFile: (id) => `${pathOf(id)}/log`,
    write(id, config) {
      mkdirSync(pathOf(id), { mode: 0o700 });
      writeFileSync(`${pathOf(id)}/config.json`, JSON.stringify(config), { mode: 0o600, flag: 'wx' });
    },
    writeExec(id, name, process) {
      const base = `${pathOf(id)}/${execPrefix}${name}`;
      const files = { process: `${base}.json`, pid: `${base}.pid` };
      writeFileSync(files.process, JSON.stringify(process), { mode: 0o600, flag: 'wx' });
      return {
        ...files,
        remove: () => {
          for (const file of [files.process, files.pid]) rmSync(file, { force: true });
        },
      };
    },
    pid(id) {
      const text = read(`${pathOf(id)}/pid`)?.trim();
      return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
    },
    complaint(id) {
      const lines =
        read(`${pathOf(id)}/log`)
          ?.trim()
          .split('\n') ?? [];
      return lines.flatMap((line) => messageOf(line) ?? []).at(-1);
    },
    remove: (id) => rmSync(pathOf(id), { recursive: true, force: true }),
  };
}

/** A line of `--log-format json`. */
function messageOf(line: string): string | undefined {
  try {
    const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
    return level === 'error' || level === undefined ? msg : undefined;
  } catch {
    return line || undefined;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
