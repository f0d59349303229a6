/** What kind of machine this is, for Agent.status. */
import { readFile } from 'node:fs/promises';
import { arch, networkInterfaces, release } from 'node:os';
import type { AgentAddress, AgentPlatform } from '../../../crds/types.generated.ts';
import { readFeatures } from './features.ts';

/** Kernel, cgroup layout, and the kernel features that isolators look for. */
export async function readPlatform(): Promise<AgentPlatform> {
  const mounts = await readText('/proc/self/mounts');
  return {
    os: 'linux',
    architecture: goArchitecture(),
    kernel: release(),
    cgroupVersion: cgroupVersion(mounts),
    features: readFeatures(),
  };
}

/** The host's name and its addresses that are not loopback. */
export function readAddresses(hostname: string): AgentAddress[] {
  const internal = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && !address.address.startsWith('fe80:'))
    .map((address) => ({ type: 'InternalIP' as const, address: address.address }));
  return [{ type: 'Hostname', address: hostname }, ...internal.slice(0, 63)];
}

/** As Kubernetes labels it (GOARCH), so that the same selectors work. */
export function goArchitecture(): string {
  const names: Record<string, string> = { x64: 'amd64', ia32: '386' };
  return names[arch()] ?? arch();
}

function cgroupVersion(mounts: string): NonNullable<AgentPlatform['cgroupVersion']> {
  const v1 = /^\S+ \S+ cgroup [^\n]*\b(cpu|memory|pids)\b/m.test(mounts);
  const v2 = /^\S+ \S+ cgroup2 /m.test(mounts);
  if (v1) return v2 ? 'hybrid' : 'v1';
  return v2 ? 'v2' : 'none';
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
