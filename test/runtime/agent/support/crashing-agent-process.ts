/**
 * As agent-process.ts, but it kills itself with SIGKILL right before the n-th thing (TEPUI_CRASH_AT) that it does to the world - a change of a
 * file or directory, bytes for a socket - once it has begun to write the record of a task.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const crashAt = Number(process.env.TEPUI_CRASH_AT);
let isArmed = false;
let done = 0;

function beforeEffect(args: unknown[]): void {
  isArmed ||= args.some((argument) => typeof argument === 'string' && argument.includes('/meta/tasks/'));
  if (!isArmed) return;
  done += 1;
  if (done === crashAt) process.kill(process.pid, 'SIGKILL');
}

function watch(object: object, names: string[]): void {
  const methods = object as Record<string, (...args: unknown[]) => unknown>;
  for (const name of names) {
    const original = methods[name]!;
    methods[name] = function (this: unknown, ...args: unknown[]) {
      beforeEffect(args);
      return original.apply(this, args);
    };
  }
}

watch(fs, ['rename', 'mkdirSync', 'writeFileSync', 'unlinkSync', 'rmdirSync', 'rmSync']);
watch(fs.promises, ['rename', 'mkdir', 'writeFile', 'unlink', 'rmdir', 'rm', 'symlink', 'chown']);
watch(net.Socket.prototype, ['write']);
syncBuiltinESMExports();

await import('./agent-process.ts');
