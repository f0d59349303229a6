/** Files of this machine, by `file:` addresses. Pure. */
import { normalize } from 'node:path';
import { decoded } from './decoded.ts';
import { FetchFailed } from './errors.ts';

export interface LocalFile {
  path: string;
  /** The allowed directory that it is in, by its text: it is opened below that. */
  below: string;
}

/** Throws FetchFailed for what is not below one of the directories (Agent `spec.isolation.allowedHostPaths`). */
export function localFile(uri: string, url: URL, allowedDirectories: readonly string[]): LocalFile {
  if (url.host !== '' && url.host !== 'localhost')
    throw new FetchFailed(uri, `file: with host "${url.host}"; write file:///path`);
  const path = normalize(decoded(url.pathname, uri));
  const below = allowedDirectories.find((directory) =>
    `${path}/`.startsWith(`${normalize(directory).replace(/\/$/, '')}/`),
  );
  if (below === undefined)
    throw new FetchFailed(uri, 'this agent does not allow that path (Agent spec.isolation.allowedHostPaths)');
  return { path, below };
}
