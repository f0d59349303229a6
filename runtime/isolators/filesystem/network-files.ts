/** /etc/hosts, /etc/resolv.conf and /etc/hostname: the task's own where its network has them; else an image gets copies of the host's. */
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Operation } from '../../launcher/operations.ts';
import type { ContainerSpec, Isolator } from '../isolator.ts';

const paths = { hosts: '/etc/hosts', resolvConf: '/etc/resolv.conf', hostname: '/etc/hostname' } as const;
type FileName = keyof typeof paths;

export function networkFilesIsolator(): Isolator {
  return {
    name: 'filesystem/network-files',
    contribute: (spec) => ({
      setup: (Object.keys(paths) as FileName[]).flatMap((name) => operationsFor(name, spec)),
    }),
  };
}

function operationsFor(name: FileName, { network, image, task }: ContainerSpec): Operation[] {
  const target = paths[name];
  const source = network?.files?.[name];
  // With content the file is new: an image may have a symbolic link there that leads nowhere.
  if (source === undefined) {
    if (!image) return [];
    const hasHostNetwork = !network && (task.spec.network?.mode ?? 'Host') === 'Host';
    const content = hasHostNetwork ? hostFile(name) : ownFile(name, network?.hostname ?? task.metadata?.name ?? '');
    return [{ op: 'createFile', path: target, mode: 0o644, content }];
  }
  const bind: Operation = { op: 'mount', source, target, flags: ['bind', 'ro', 'nosuid', 'nodev', 'noexec'] };
  if (image) return [{ op: 'createFile', path: target, mode: 0o644, content: '' }, bind];
  return existsSync(target) ? [bind] : [];
}

function hostFile(name: FileName): string {
  if (name === 'hostname') return `${hostname()}\n`;
  return existsSync(paths[name]) ? readFileSync(paths[name], 'utf8') : '';
}

/** Without a network to the outside there is nobody to ask for names. */
function ownFile(name: FileName, hostName: string): string {
  if (name === 'hostname') return `${hostName}\n`;
  return name === 'hosts' ? '127.0.0.1\tlocalhost\n::1\tlocalhost\n' : '';
}
