/** From a Secret or ConfigMap to the files of a volume. Pure. */
import type { ConfigMapDocument, SecretDocument } from '../../../controllers/machinery/client/resources.ts';
import type { Task } from '../../../crds/types.generated.ts';
import type { ProjectedFile } from '../../volumes/projection.ts';

type TaskVolume = NonNullable<Task['spec']['volumes']>[number];

/** What a volume shows of which object. Holds no values: it is written to disk. */
export interface Projection {
  kind: 'Secret' | 'ConfigMap';
  namespace: string;
  name: string;
  items?: { key: string; path: string; mode?: number }[];
  defaultMode: number;
  optional: boolean;
}

export type ProjectedObject = SecretDocument | ConfigMapDocument;

/** A Secret or ConfigMap of a volume, or a key of it, does not exist. The message is fit for the user and holds no value. */
export class VolumeSourceMissing extends Error {
  override name = 'VolumeSourceMissing';
}

const SECRET_MODE = 0o400;
const CONFIG_MAP_MODE = 0o444;

/** undefined: the volume is of another kind. Defaults as in the CRD. */
export function projectionOf(volume: TaskVolume, namespace: string): Projection | undefined {
  const { secret, configMap } = volume;
  const source = secret ?? configMap;
  if (source === undefined) return undefined;
  return {
    kind: secret === undefined ? 'ConfigMap' : 'Secret',
    namespace,
    name: secret?.secretName ?? configMap?.name ?? '',
    ...(source.items !== undefined && { items: source.items }),
    defaultMode: source.defaultMode ?? (secret === undefined ? CONFIG_MAP_MODE : SECRET_MODE),
    optional: source.optional ?? false,
  };
}

/** Throws VolumeSourceMissing where something that is not optional is missing. An optional one shows what there is. */
export function projectedFiles(projection: Projection, object: ProjectedObject | undefined): ProjectedFile[] {
  const what = describeProjection(projection);
  if (object === undefined) {
    if (projection.optional) return [];
    throw new VolumeSourceMissing(`${what} does not exist`);
  }
  const contents = contentsOf(projection, object);
  if (projection.items === undefined) {
    return [...contents].map(([path, content]) => ({ path, content, mode: projection.defaultMode }));
  }
  return projection.items.flatMap(({ key, path, mode }) => {
    const content = contents.get(key);
    if (content !== undefined) return [{ path: withoutDots(path), content, mode: mode ?? projection.defaultMode }];
    if (projection.optional) return [];
    throw new VolumeSourceMissing(`${what} has no key "${key}"`);
  });
}

/** `secret "db"` */
export function describeProjection({ kind, name }: Projection): string {
  return `${kind === 'Secret' ? 'secret' : 'config map'} "${name}"`;
}

function contentsOf({ kind }: Projection, object: ProjectedObject): Map<string, Uint8Array> {
  const contents = new Map<string, Uint8Array>();
  const isSecret = kind === 'Secret';
  for (const [key, value] of Object.entries(object.data ?? {}))
    contents.set(key, Buffer.from(value, isSecret ? 'base64' : 'utf8'));
  if ('binaryData' in object) {
    for (const [key, value] of Object.entries(object.binaryData ?? {})) contents.set(key, Buffer.from(value, 'base64'));
  }
  return contents;
}

/** `./a//b` is `a/b`. */
function withoutDots(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}
