/**
 * A root directory from an image: its layers as an overlay. A read-only root (the default) takes the mount points that the image lacks into a small
 * tmpfs before it is sealed; a writable one keeps changes on the disk, below `<data>/agent/rootfs/<containerId>`, until the container is removed.
 * Where that disk's file system cannot take the changes of an overlay, it is a copy of the layers instead.
 */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import type { Operation } from '../../launcher/operations.ts';
import { flattenLayers } from '../../launcher/probe.ts';
import { openDirectory } from '../../volumes/anchored.ts';
import { removeTree } from '../../volumes/remove-tree.ts';
import { type ContainerSpec, IsolationRefused, type Isolator, type IsolatorHost } from '../isolator.ts';
import { hasNoNewPrivileges } from '../no-new-privileges.ts';
import { onHost } from '../user-namespace.ts';
import { workingDirectoryOf } from '../working-directory.ts';

/** What other isolators mount on or write to, with its mode where the image lacks it. */
const places: [path: string, mode: number][] = [
  ['/proc', 0o555],
  ['/sys', 0o555],
  ['/dev', 0o755],
  ['/etc', 0o755],
  ['/tmp', 0o1777],
];

export function imageRootIsolator(host: IsolatorHost): Isolator {
  const { rootMountPoint, dataDirectory, features } = host;
  const directory = `${dataDirectory}/agent/rootfs`;
  const changesOf = (containerId: string) => `${directory}/${containerId}`;
  const isCopy = (spec: ContainerSpec) =>
    spec.image !== undefined && !hasReadOnlyRoot(spec) && features.overlay !== undefined;
  return {
    name: 'filesystem/image-root',
    prepare(spec) {
      if (!spec.image) return;
      if (spec.image.layers.length === 0) throw new IsolationRefused(`image: ${spec.image.reference} has no layers`);
      if (!hasReadOnlyRoot(spec)) mkdirSync(changesOf(spec.containerId), { recursive: true, mode: 0o700 });
    },
    provision(spec, signal) {
      if (!isCopy(spec)) return undefined;
      return flattenLayers(host.launcherBinary!, changesOf(spec.containerId), spec.image!.layers, signal);
    },
    contribute(spec) {
      if (!spec.image) return {};
      const { layers } = spec.image;
      const flags: ('nodev' | 'nosuid' | 'idmap')[] = ['nodev', 'idmap'];
      if (hasNoNewPrivileges(spec)) flags.push('nosuid');
      const changes = changesOf(spec.containerId);
      const { mode, uid, gid } = statSync(layers[0]!);
      const root: Operation = isCopy(spec)
        ? { op: 'mount', source: `${changes}/root`, target: rootMountPoint, flags: ['bind', ...flags] }
        : {
            op: 'overlay',
            target: rootMountPoint,
            layers,
            changes: hasReadOnlyRoot(spec) ? 'memory' : { upper: changes },
            flags,
            root: { mode: mode & 0o7777, ...onHost(spec, { uid, gid }) },
          };
      const setup: Operation[] = [
        { op: 'mount', source: 'none', target: '/', flags: ['rprivate'] },
        root,
        { op: 'enterRoot', path: rootMountPoint },
        ...places.map(([path, placeMode]): Operation => ({ op: 'mkdir', path, mode: placeMode })),
        // As with other runtimes: a working directory that the image only names is made.
        { op: 'mkdir', path: workingDirectoryOf(spec), mode: 0o755 },
      ];
      return { setup };
    },
    list: () =>
      entriesOf(directory)
        .filter((name) => name !== '.probe')
        .map((name) => deepPart.exec(name)?.[1] ?? name),
    async cleanup(containerId) {
      const names = entriesOf(directory).filter((name) => (deepPart.exec(name)?.[1] ?? name) === containerId);
      if (names.length === 0) return;
      const handle = await openDirectory(directory);
      try {
        for (const name of names) await removeTree(handle, name, `.removing-${containerId}-`);
      } finally {
        await handle.close();
      }
    },
  };
}

/** Left of a removal that was cut short. */
const deepPart = /^\.removing-(.+)-[0-9a-f]{12}$/;

function entriesOf(directory: string): string[] {
  return statSync(directory, { throwIfNoEntry: false }) ? readdirSync(directory) : [];
}

/** Of the document; without an image the root is the host's, and always read-only. */
export function hasReadOnlyRoot({ container, image }: Pick<ContainerSpec, 'container' | 'image'>): boolean {
  return !image || container.security?.readOnlyRootFilesystem !== false;
}

/** A further image at a path of the container, read-only. */
export function imageMount(layers: string[], target: string): Operation {
  const root = { mode: 0o755, uid: 0, gid: 0 };
  return { op: 'overlay', target, layers, changes: 'none', flags: ['ro', 'nosuid', 'nodev', 'idmap'], root };
}
