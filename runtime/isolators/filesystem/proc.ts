/** A fresh /proc of the container's own pid namespace; what would show or change the host is masked or read-only, as in Docker, unless it is privileged. */
import { existsSync } from 'node:fs';
import type { Operation } from '../../launcher/operations.ts';
import type { Isolator } from '../isolator.ts';
import { isPrivileged } from '../privileged.ts';

// biome-ignore format: rows
const maskedPaths = [
  '/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats',
  '/proc/sched_debug', '/proc/scsi', '/proc/timer_list', '/proc/timer_stats',
];
const readOnlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export function procIsolator(): Isolator {
  const mount: Operation = {
    op: 'mount',
    source: 'proc',
    target: '/proc',
    fstype: 'proc',
    flags: ['nosuid', 'nodev', 'noexec'],
  };
  const operations: Operation[] = [
    mount,
    // The kernel does not change: what it lacks now is not tried at each launch.
    ...readOnlyPaths.filter((path) => existsSync(path)).map((path): Operation => ({ op: 'readOnly', path })),
    ...maskedPaths.filter((path) => existsSync(path)).map((path): Operation => ({ op: 'mask', path })),
  ];
  return { name: 'filesystem/proc', contribute: (spec) => ({ setup: isPrivileged(spec) ? [mount] : operations }) };
}
