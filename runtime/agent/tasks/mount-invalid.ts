import { isAbsolute, normalize, relative } from 'node:path';

/** A mount's source is missing or not what the document says. The message names the field. */
export class MountInvalid extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MountInvalid';
  }
}

/** Whether the path is the directory or below it, by its text. */
export function isBelow(path: string, directory: string): boolean {
  const between = relative(normalize(directory), normalize(path));
  return between === '' || (between !== '..' && !between.startsWith('../') && !isAbsolute(between));
}
