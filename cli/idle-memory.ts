import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const CHECK_MS = 10_000;
/** Share of one core below which the process counts as idle. */
const IDLE_SHARE = 0.05;
/** Pages beyond what was in use after the last collection that are worth one; a collection takes some 50 ms. */
const WORTH_BYTES = 16 * 1024 * 1024;

/**
 * Gives memory back after work. V8 collects when something is allocated, so a process that had much to do and then has nothing keeps its peak
 * for good; ten idle seconds after it, this collects once. Never keeps the process alive.
 */
export function giveMemoryBackWhenIdle(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let settled = process.memoryUsage().heapTotal;
  let before = process.cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    if ((user + system) / 1000 > CHECK_MS * IDLE_SHARE) return;
    if (process.memoryUsage().heapTotal < settled + WORTH_BYTES) return;
    collect();
    settled = process.memoryUsage().heapTotal;
  }, CHECK_MS);
  timer.unref();
}
