import { readFileSync } from 'node:fs';

/** Changes with each boot of the machine: pids, cgroups and mounts of another boot are gone. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
