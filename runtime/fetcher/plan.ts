/** What is to be done with one URI. Pure. */
import type { FetchUri } from '../../crds/types.generated.ts';
import { decoded } from './decoded.ts';
import { FetchFailed } from './errors.ts';

export interface FetchPlan {
  /** As the document has it. */
  uri: string;
  url: URL;
  /** Path in the sandbox; relative, without `..`. */
  destination: string;
  /** What happens to the file besides being put at `destination`. */
  unpack?: 'Tar' | 'Gunzip' | 'Unzip';
  /** Of a gzipped file that is no archive: the path of the content. */
  unpackedDestination?: string;
  mode: number;
  cache: boolean;
  sha256?: string;
  stallTimeoutMs: number;
}

const tarNames = /\.(tar|tar\.gz|tgz|tar\.bz2|tbz2|tar\.xz|txz|tar\.zst|tzst)$/i;
const MAX_NAME = 255;
/** Of what the container writes, in the same sandbox. */
const LOGS = ['stdout', 'stderr'];

/** Throws FetchFailed for what cannot be fetched at all. */
export function planFetch(fetch: FetchUri): FetchPlan {
  const { value, executable = false, extract = true, stallTimeoutSeconds = 60 } = fetch;
  const url = URL.parse(value);
  if (!url) throw new FetchFailed(value, 'it is no absolute address with a scheme');
  if (!['http:', 'https:', 'file:'].includes(url.protocol)) {
    throw new FetchFailed(value, `scheme "${url.protocol.slice(0, -1)}" is not supported; use http, https or file`);
  }
  const name = fileName(url, value);
  const destination = fetch.outputFile ?? name ?? '';
  const problem = destinationProblem(destination);
  if (problem) throw new FetchFailed(value, problem);
  const unpack = executable || !extract ? undefined : (unpacking(destination) ?? unpacking(name ?? ''));
  return {
    uri: value,
    url,
    destination,
    ...(unpack && { unpack }),
    ...(unpack === 'Gunzip' && { unpackedDestination: destination.replace(/\.gz$/i, '') || destination }),
    mode: executable ? 0o755 : 0o644,
    cache: fetch.cache ?? false,
    ...(fetch.sha256 !== undefined && { sha256: fetch.sha256.toLowerCase() }),
    stallTimeoutMs: stallTimeoutSeconds * 1000,
  };
}

/** By the name alone, as in Mesos. A `.gz` that is no archive is unpacked beside itself; one without another name stays as it is. */
function unpacking(name: string): FetchPlan['unpack'] {
  if (tarNames.test(name)) return 'Tar';
  if (/\.zip$/i.test(name)) return 'Unzip';
  return /[^/]\.gz$/i.test(name) ? 'Gunzip' : undefined;
}

/** The last part of the path, decoded; undefined when there is none. */
function fileName(url: URL, value: string): string | undefined {
  return decoded(url.pathname.slice(url.pathname.lastIndexOf('/') + 1), value) || undefined;
}

function destinationProblem(path: string): string | undefined {
  if (path === '') return 'its path ends in "/" and gives no name: set `outputFile`';
  const parts = path.split('/');
  if (path.startsWith('/') || parts.some((part) => part === '..' || part === '.' || part === '')) {
    return `"${path}" is no path in the sandbox: set \`outputFile\` to a relative one without ".."`;
  }
  if (LOGS.includes(path)) return `"${path}" is the log of the container: set \`outputFile\` to another path`;
  if (path.includes('\0') || parts.some((part) => Buffer.byteLength(part) > MAX_NAME)) {
    return 'its name is not one that a file can have: set `outputFile`';
  }
  return undefined;
}
