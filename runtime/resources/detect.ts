/** What a machine offers when nobody says otherwise: the rules of Mesos's agent. */
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { type OwnCgroupLimits, readOwnCgroupLimits } from './cgroup-limits.ts';

const GIB = 2 ** 30;

/** Ports that the scheduler may hand out when a container asks for "any". */
export const DEFAULT_PORTS = '31000-32000';

/** The machine as it is, before anything is set aside. Integers: milli-cores and bytes. */
export interface MachineFacts {
  cpusMilli: number;
  memBytes: number;
  diskBytes: number;
  /** Whole ones. Absent: none. */
  gpus?: number;
}

/** What is left for tasks after the operating system's share. */
export interface OfferedResources extends MachineFacts {
  ports: string;
}

/** Reads the machine: host totals, lowered to the limits of the cgroup this process is in. */
export async function readMachineFacts(options: { workDir: string; procRoot?: string }): Promise<MachineFacts> {
  const procRoot = options.procRoot ?? '/proc';
  const [limits, memTotal, disk] = await Promise.all([
    readOwnCgroupLimits(procRoot),
    readMemTotal(procRoot),
    statfs(options.workDir).then(
      (fs) => fs.blocks * fs.bsize,
      () => 10 * GIB,
    ),
  ]);
  return limitFacts({ cpusMilli: countCpus() * 1000, memBytes: memTotal ?? GIB, diskBytes: disk }, limits);
}

/** Mesos's rule: 1 GB of memory (half below 2 GB) and 5 GB of disk (half below 10 GB) stay with the system. */
export function offerResources(facts: MachineFacts): OfferedResources {
  return {
    cpusMilli: facts.cpusMilli,
    memBytes: facts.memBytes >= 2 * GIB ? facts.memBytes - GIB : Math.floor(facts.memBytes / 2),
    diskBytes: facts.diskBytes >= 10 * GIB ? facts.diskBytes - 5 * GIB : Math.floor(facts.diskBytes / 2),
    ...(facts.gpus !== undefined && { gpus: facts.gpus }),
    ports: DEFAULT_PORTS,
  };
}

/** The smaller of what the host has and what the own cgroup allows. */
export function limitFacts(facts: MachineFacts, limits: OwnCgroupLimits): MachineFacts {
  return {
    cpusMilli: Math.min(facts.cpusMilli, Math.floor((limits.cpus ?? Number.POSITIVE_INFINITY) * 1000)),
    memBytes: Math.min(facts.memBytes, limits.memoryBytes ?? Number.POSITIVE_INFINITY),
    diskBytes: facts.diskBytes,
  };
}

// availableParallelism honours the affinity mask (cpusets), cpus() does not; it may also round a quota, which is why quotas are read apart.
function countCpus(): number {
  return Math.max(1, Math.min(cpus().length || 1, availableParallelism()));
}

async function readMemTotal(procRoot: string): Promise<number | undefined> {
  try {
    const kib = /^MemTotal:\s+(\d+) kB/m.exec(await readFile(join(procRoot, 'meminfo'), 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
