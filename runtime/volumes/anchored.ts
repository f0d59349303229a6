/**
 * Paths relative to an open directory (what C does with openat): nobody can lead us elsewhere by replacing a part of the path with a symbolic
 * link while we work. Node has no openat, but the kernel resolves /proc/self/fd/N to the open directory itself.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Opens a directory; its last part may not be a symbolic link. */
export function openDirectory(path: string | Buffer): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/** The path of an entry of an open directory; as bytes where the name is: a name need not be UTF-8. */
export function entryOf(directory: FileHandle, name: string): string;
export function entryOf(directory: FileHandle, name: Buffer): Buffer;
export function entryOf(directory: FileHandle, name: string | Buffer): string | Buffer;
export function entryOf(directory: FileHandle, name: string | Buffer): string | Buffer {
  const parent = `/proc/self/fd/${directory.fd}/`;
  return typeof name === 'string' ? `${parent}${name}` : Buffer.concat([Buffer.from(parent), name]);
}

/** Opens a directory in an open directory. */
export function openEntry(directory: FileHandle, name: string | Buffer): Promise<FileHandle> {
  return openDirectory(entryOf(directory, name));
}
