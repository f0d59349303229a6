/** Sets what the members of a cgroup may open, for groups that are there before any container: the launcher's one-shot role `devices`. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { buildLauncher } from './build.ts';
import { encodeDeviceRules } from './encode.ts';
import type { DeviceRule } from './operations.ts';

/** The kernel or our privileges do not let us; the message says which cgroup and why. */
export class DeviceRulesRefused extends Error {
  override name = 'DeviceRulesRefused';
}

/**
 * Replaces the rules of a v1 group of the devices controller, or of a v2 group. A v2 group's hold for all groups below it that have none of their
 * own; a v1 group's are the most that a group below it can have.
 */
export async function setDeviceRules(
  cgroup: string,
  rules: readonly DeviceRule[],
  { binary }: { binary?: string } = {},
): Promise<void> {
  const child = spawn(binary ?? (await buildLauncher()), ['devices', cgroup], {
    env: {},
    cwd: '/',
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  child.stdin.on('error', () => {}); // it ended early, and says why
  child.stdin.end(encodeDeviceRules(rules));
  const [code, message] = await Promise.all([ended, text(child.stderr)]);
  if (code !== 0)
    throw new DeviceRulesRefused(
      message.trim().replace(/^tepui-launcher: /, '') || `tepui-launcher devices ended with ${code}`,
    );
}
