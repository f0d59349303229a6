/**
 * Layers often have directories that they do not describe: `usr/bin/tool` without `usr` and `usr/bin`. Unpacked alone, those get attributes of
 * ours, and would hide those that lower layers give (a /tmp of mode 1777, for example). So right above such a layer goes one that has nothing but these
 * directories, with the attributes of the lower layers. Layers stay the same for all images that share them.
 */
import { createHash } from 'node:crypto';
import { findInLayers, type StackedLayer } from './layered-files.ts';
import type { UnpackRecord } from './unpack/record.ts';

export interface AttributeLayer {
  /** Says what is in it. */
  id: string;
  records: UnpackRecord[];
}

/** What a directory that nobody describes is made with. */
const DEFAULT_MODE = 0o755;

/** undefined when the layer needs nothing. `lower` are the layers below it, the uppermost first. */
export async function attributeLayer(implied: string[], lower: StackedLayer[]): Promise<AttributeLayer | undefined> {
  const records: UnpackRecord[] = [];
  for (const path of [...implied].sort()) {
    const found = await findInLayers(lower, path);
    if (!found?.stat.isDirectory()) continue;
    const { mode, uid, gid } = found.stat;
    const permissions = mode & 0o7777;
    if (permissions === DEFAULT_MODE && uid === 0 && gid === 0) continue;
    records.push({
      type: 'directory',
      path,
      mode: permissions,
      uid,
      gid,
      seconds: Math.floor(found.stat.mtimeMs / 1000),
    });
  }
  if (records.length === 0) return undefined;
  const text = JSON.stringify(records.map(({ path, mode, uid, gid, seconds }) => [path, mode, uid, gid, seconds]));
  return { id: `attributes:${createHash('sha256').update(text).digest('hex')}`, records };
}
