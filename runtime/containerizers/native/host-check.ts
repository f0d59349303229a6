/** Whether this host can run containers natively at all, said in one sentence before anything is made. */
import { release } from 'node:os';

/** This machine, or the way we were started, cannot isolate containers. */
export class HostUnsupported extends Error {
  override name = 'HostUnsupported';
}

/** mount_setattr(2), with which whole trees become read-only, came with this one. */
const oldestKernel = [5, 12] as const;

export function checkHost({
  uid = process.geteuid?.() ?? -1,
  kernel = release(),
  platform = process.platform,
} = {}): void {
  if (platform !== 'linux') throw new HostUnsupported(`containers need Linux, this is ${platform}`);
  if (uid !== 0) throw new HostUnsupported(`containers need root: the agent runs as user ${uid}`);
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  if (major < oldestKernel[0] || (major === oldestKernel[0] && minor < oldestKernel[1])) {
    throw new HostUnsupported(`containers need Linux ${oldestKernel.join('.')} or newer, this is ${kernel}`);
  }
}
