/** Persistent volumes, other directories that the agent resolved, and images, mounted where the document says. */
import { statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import type { ContainerMount } from '../../containerizers/containerizer.ts';
import type { MountFlag, Operation } from '../../launcher/operations.ts';
import { type ContainerSpec, IsolationRefused, type Isolator, type IsolatorHost } from '../isolator.ts';
import { isPrivileged } from '../privileged.ts';
import { onHost } from '../user-namespace.ts';
import { imageMount } from './image-root.ts';
import { sandboxInContainer } from './sandbox.ts';
import { isBelowScratch } from './scratch.ts';

export function volumesIsolator({ dataDirectory }: IsolatorHost): Isolator {
  return {
    name: 'filesystem/volumes',
    contribute: (spec) => ({
      setup: mountTargets(spec).flatMap((mount) => [
        ...makeMountPoint(mount, spec, dataDirectory),
        bindOf(mount, isPrivileged(spec)),
      ]),
    }),
  };
}

export interface ResolvedMount {
  source: string;
  root?: string;
  /** Of an image, the uppermost first; `source` is then the first of them. */
  layers?: string[];
  isDirectory: boolean;
  /** Absolute path in the container. */
  target: string;
  readOnly: boolean;
  propagation?: ContainerMount['propagation'];
}

/** The mounts with absolute targets; outer ones first, so that one may be below another. */
export function mountTargets(spec: Pick<ContainerSpec, 'mounts' | 'sandbox' | 'image'>): ResolvedMount[] {
  const sandbox = sandboxInContainer(spec);
  return spec.mounts
    .map(({ type, source, root, target, readOnly, propagation }) => {
      if (target.split('/').includes('..'))
        throw new IsolationRefused(`volumeMounts: mountPath ${target} must not contain ".."`);
      const path = normalize(target.startsWith('/') ? target : join(sandbox, target)).replace(/(?<=.)\/+$/, '');
      const forbidden = ['/', '/proc', '/sys', '/dev'].find(
        (place) => path === place || (place !== '/' && path.startsWith(`${place}/`)),
      );
      if (forbidden && !path.startsWith('/dev/shm/'))
        throw new IsolationRefused(`volumeMounts: nothing can be mounted at ${path}`);
      if (path === sandbox || sandbox.startsWith(`${path}/`)) {
        throw new IsolationRefused(`volumeMounts: ${path} cannot be covered, the sandbox is there`);
      }
      const layers = type === 'overlay' ? source.split(':') : undefined;
      return {
        source,
        ...(root !== undefined && { root }),
        ...(layers && { layers }),
        ...(propagation && { propagation }),
        isDirectory: isDirectory(layers?.[0] ?? source),
        target: path,
        readOnly,
      };
    })
    .sort((a, b) => depth(a.target) - depth(b.target));
}

/**
 * Places in the root itself, for mount paths whose first part the host does not have. Part of the root's making: it is read-only later.
 */
export function newTopLevelPlaces(spec: ContainerSpec, topLevel: ReadonlySet<string>): Operation[] {
  return mountTargets(spec).flatMap(({ target, isDirectory }) => {
    if (topLevel.has(target.split('/')[1]!)) return [];
    const parent = target.slice(0, target.lastIndexOf('/'));
    const parents: Operation[] = isDirectory || parent === '' ? [] : [{ op: 'mkdir', path: parent, mode: 0o755 }];
    return [...parents, place(target, isDirectory, 0, 0)];
  });
}

function isDirectory(source: string): boolean {
  const found = statSync(source, { throwIfNoEntry: false });
  if (!found) throw new IsolationRefused(`volumeMounts: ${source} does not exist on this agent`);
  return found.isDirectory();
}

/** Where there is nothing to mount on yet. In the sandbox the place belongs to the task, as everything in it. */
function makeMountPoint(
  { target, isDirectory }: ResolvedMount,
  spec: ContainerSpec,
  dataDirectory: string,
): Operation[] {
  const sandbox = sandboxInContainer(spec);
  if (isBelow(target, sandbox)) return makePath(sandbox, target, isDirectory, onHost(spec, spec.user));
  if (spec.image) return placeInImage(target, isDirectory);
  if (isBelow(target, dataDirectory)) throw new IsolationRefused(`volumeMounts: nothing can be mounted at ${target}`);
  if (isBelowScratch(target) || target.startsWith('/dev/shm/')) return [place(target, isDirectory, 0, 0)];
  const existing = statSync(target, { throwIfNoEntry: false });
  if (existing === undefined) {
    const [, top] = target.split('/');
    if (statSync(`/${top}`, { throwIfNoEntry: false }) === undefined) return [];
    throw new IsolationRefused(
      `volumeMounts: mountPath ${target} does not exist on this agent, whose /${top} is read-only in the container. ` +
        'Use a path that exists, a new top-level directory, or a path relative to the sandbox',
    );
  }
  if (existing.isDirectory() !== isDirectory) {
    throw new IsolationRefused(
      `volumeMounts: mountPath ${target} is ${isDirectory ? 'a file' : 'a directory'}, the volume is not`,
    );
  }
  return [];
}

/** An image's root takes new places, whether they stay or not. */
function placeInImage(target: string, isDirectory: boolean): Operation[] {
  const parent = target.slice(0, target.lastIndexOf('/'));
  if (isDirectory || parent === '')
    return [isDirectory ? { op: 'mkdir', path: target, mode: 0o755 } : emptyFile(target)];
  return [{ op: 'mkdir', path: parent, mode: 0o755 }, emptyFile(target)];
}

const emptyFile = (path: string): Operation => ({ op: 'createFile', path, mode: 0o644 });

function makePath(from: string, to: string, isDirectory: boolean, owner: { uid: number; gid: number }): Operation[] {
  const operations: Operation[] = [];
  const parts = to.slice(from.length + 1).split('/');
  for (let length = 1; length <= parts.length; length++) {
    const path = `${from}/${parts.slice(0, length).join('/')}`;
    operations.push(place(path, isDirectory || length < parts.length, owner.uid, owner.gid));
  }
  return operations;
}

function place(path: string, isDirectory: boolean, uid: number, gid: number): Operation {
  return isDirectory ? { op: 'mkdir', path, mode: 0o755, uid, gid } : emptyFile(path);
}

function bindOf(
  { source, root, target, readOnly, propagation, layers }: ResolvedMount,
  privileged: boolean,
): Operation {
  if (layers) return imageMount(layers, target);
  const flags = mountFlags(readOnly, privileged);
  if (propagation === 'HostToContainer') flags.push('slave');
  if (propagation === 'Bidirectional') flags.push('shared');
  if (root === undefined) return { op: 'mount', source, target, flags };
  if (source !== root && !isBelow(source, root))
    throw new IsolationRefused(`volumeMounts: ${source} is not below ${root}`);
  return { op: 'mount', source: source.slice(root.length) || '/', sourceBelow: root, target, flags };
}

/** A privileged container has the host's devices, also where a volume shows one. */
function mountFlags(readOnly: boolean, privileged: boolean): MountFlag[] {
  const restrictions: MountFlag[] = privileged ? [] : ['nosuid', 'nodev'];
  return ['rbind', ...restrictions, 'idmap', ...(readOnly ? (['ro'] as const) : [])];
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}

function depth(path: string): number {
  return path.split('/').length;
}
