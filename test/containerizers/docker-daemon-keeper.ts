/**
 * Runs a Docker daemon for as long as its standard input is open: tests that end in any way, be it a SIGKILL, close theirs, and nothing of the daemon
 * stays. Arguments: the daemon's directory, which is removed, and its command line.
 */
import { execFileSync, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const graceMs = 15_000;
const [directory, program, ...args] = process.argv.slice(2) as [string, string, ...string[]];

const daemon = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
const ended = new Promise<void>((resolve) => {
  daemon.once('exit', () => resolve());
  daemon.once('error', () => resolve());
});
const released = new Promise<void>((resolve) => void process.stdin.on('close', resolve).resume());
await Promise.race([ended, released]);
daemon.kill('SIGTERM');
if ((await Promise.race([ended, delay(graceMs, 'late', { ref: false })])) === 'late') {
  daemon.kill('SIGKILL');
  await ended;
}
unmountBelow();
rmSync(directory, { recursive: true, force: true });
process.exit(0);

function unmountBelow(): void {
  const mounts = execFileSync('findmnt', ['-rno', 'TARGET']).toString().split('\n');
  for (const target of mounts.filter((path) => path.startsWith(`${directory}/`)).reverse())
    execFileSync('umount', ['-l', target]);
}
