import { existsSync, readFileSync, statSync } from 'node:fs';
import { deviceNumber } from '../../runtime/isolators/filesystem/devices.ts';

/** The disk that a directory is on, when its file system has a whole one. */
export function wholeDisk(path: string): string | undefined {
  const { major, minor } = deviceNumber(statSync(path).dev);
  const sys = `/sys/dev/block/${major}:${minor}`;
  if (!existsSync(`${sys}/uevent`) || existsSync(`${sys}/partition`)) return undefined;
  const name = /^DEVNAME=(.+)$/m.exec(readFileSync(`${sys}/uevent`, 'utf8'))?.[1];
  return name !== undefined && existsSync(`/dev/${name}`) ? `/dev/${name}` : undefined;
}
