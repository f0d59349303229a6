/**
 * What the docker containerizer keeps of its containers beside what the engine keeps: `<directory>/<id>.json`, written before anything is made, and
 * `<id>.position`, how far its output was copied. Per boot; neither holds the environment.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ContainerSpec } from '../../isolators/isolator.ts';
import { checkedId, removeUnfinished, replaceFile } from '../native/records.ts';

export interface DockerRecord {
  bootId: string;
  spec: ContainerSpec;
}

export interface DockerRecords {
  /** Throws when there is one already. */
  write(record: DockerRecord): void;
  /** In one step: its container may run. */
  rewrite(record: DockerRecord): void;
  read(containerId: string): DockerRecord | undefined;
  positionFile(containerId: string): string;
  list(): string[];
  remove(containerId: string): void;
}

export function openDockerRecords(directory: string): DockerRecords {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  removeUnfinished(directory);
  const pathOf = (id: string, suffix: string) => `${directory}/${checkedId(id)}.${suffix}`;
  const fileOf = ({ spec }: DockerRecord) => pathOf(spec.containerId, 'json');
  return {
    write: (record) => writeFileSync(fileOf(record), JSON.stringify(record), { mode: 0o600, flag: 'wx' }),
    rewrite: (record) => replaceFile(fileOf(record), JSON.stringify(record)),
    read(id) {
      try {
        return JSON.parse(readFileSync(pathOf(id, 'json'), 'utf8')) as DockerRecord;
      } catch (error) {
        // Missing, or torn by a kill: then nothing had been made yet.
        if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    positionFile: (id) => pathOf(id, 'position'),
    list: () => readdirSync(directory).flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -5)] : [])),
    remove(id) {
      for (const suffix of ['position', 'json']) rmSync(pathOf(id, suffix), { force: true });
    },
  };
}
