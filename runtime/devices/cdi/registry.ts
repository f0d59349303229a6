/** All CDI devices of this machine: the specifications of some directories, read again only when a file changed. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type CdiEdits, CdiInvalid, type CdiSpecification, parseCdiSpecification } from './specification.ts';

/** Where CDI says they are; what is in a later one takes precedence. */
export const defaultCdiDirectories = ['/etc/cdi', '/var/run/cdi'] as const;

export interface CdiDevice {
  /** vendor.com/class=name */
  name: string;
  kind: string;
  edits: CdiEdits;
  /** Of the specification as a whole. */
  common: CdiEdits;
  file: string;
}

export interface CdiRegistry {
  devices: Map<string, CdiDevice>;
  /** Files that are left out, and devices that are in two files of one directory: `file: reason`. */
  problems: string[];
}

interface Known {
  version: string;
  specification?: CdiSpecification;
  problem?: string;
}

/** Returns a function that looks at the directories; missing ones are empty. */
export function openCdiRegistry(): (directories: readonly string[]) => CdiRegistry {
  const files = new Map<string, Known>();
  return (directories) => {
    const registry: CdiRegistry = { devices: new Map(), problems: [] };
    for (const directory of directories) readDirectory(directory, files, registry);
    return registry;
  };
}

function readDirectory(directory: string, files: Map<string, Known>, registry: CdiRegistry): void {
  const here = new Map<string, CdiDevice[]>();
  for (const file of specificationFiles(directory)) {
    const { specification, problem } = readFile(file, files);
    if (problem !== undefined) registry.problems.push(`${file}: ${problem}`);
    for (const { name: short, edits } of specification?.devices ?? []) {
      const { kind, edits: common } = specification!;
      const name = `${kind}=${short}`;
      here.set(name, [...(here.get(name) ?? []), { name, kind, edits, common, file }]);
    }
  }
  for (const [name, found] of here) {
    if (found.length === 1) registry.devices.set(name, found[0]!);
    else {
      // Which one is meant nobody can say.
      registry.devices.delete(name);
      registry.problems.push(`${name}: is in ${found.map(({ file }) => file).join(' and ')}`);
    }
  }
}

function specificationFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /\.(json|ya?ml)$/.test(name))
      .sort()
      .map((name) => join(directory, name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

function readFile(file: string, files: Map<string, Known>): Known {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    const version = `${ino} ${mtimeMs} ${size}`;
    const known = files.get(file);
    if (known?.version === version) return known;
    const read: Known = { version, ...parsed(readFileSync(file, 'utf8')) };
    files.set(file, read);
    return read;
  } catch (error) {
    return { version: '', problem: (error as Error).message };
  }
}

function parsed(text: string): Omit<Known, 'version'> {
  try {
    return { specification: parseCdiSpecification(text) };
  } catch (error) {
    if (!(error instanceof CdiInvalid)) throw error;
    return { problem: error.message };
  }
}
