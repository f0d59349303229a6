/** A fetcher with a sandbox, and a web server on the loopback address that behaves as a test says. */
import { chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import type { FetchUri } from '../../../crds/types.generated.ts';
import { type Fetcher, type FetcherOptions, type FetchRequest, openFetcher } from '../../../runtime/fetcher/index.ts';
import { mountsBelow } from '../launcher/harness.ts';

// The first test of a machine compiles the launcher, which takes its time on a busy one.
jest.setTimeout(120_000);

export const unavailable = process.getuid?.() === 0 ? undefined : 'needs root';
export const user = { uid: 65534, gid: 65534, supplementalGids: [], name: 'nobody' };

export interface FetchBed {
  directory: string;
  fetcher: Fetcher;
  /** A new, empty sandbox of the user. */
  sandbox(of?: { uid: number; gid: number }): string;
  /** Fetches into a new sandbox and returns its path. */
  fetch(uris: (FetchUri | string)[], change?: Partial<FetchRequest>): Promise<string>;
  close(): Promise<void>;
}

export async function openBed(options: Partial<FetcherOptions> = {}): Promise<FetchBed> {
  const directory = mkdtempSync('/var/lib/tepui-test-fetch-');
  mkdirSync(join(directory, 'sandboxes'));
  let serial = 0;
  const bed: FetchBed = {
    directory,
    fetcher: await openFetcher({
      cacheDirectory: join(directory, 'cache'),
      download: { retryMs: 5, env: {}, ...options.download },
      ...options,
    }),
    sandbox({ uid, gid } = user) {
      const path = join(directory, 'sandboxes', String(++serial));
      mkdirSync(path);
      chownSync(path, uid, gid);
      return path;
    },
    async fetch(uris, change = {}) {
      const sandbox = change.sandbox ?? bed.sandbox(change.user);
      const all = uris.map((uri) => (typeof uri === 'string' ? { value: uri } : uri));
      await bed.fetcher.fetch({ uris: all, sandbox, user, ...change });
      return sandbox;
    },
    async close() {
      await bed.fetcher.close();
      const left = readdirSync(join(directory, 'cache/staging'));
      const mounts = await mountsBelow(directory);
      rmSync(directory, { recursive: true });
      if (left.length > 0) throw new Error(`left in staging: ${left}`);
      if (mounts.length > 0) throw new Error(`left mounted: ${mounts}`);
    },
  };
  return bed;
}

export interface WebServer {
  url: string;
  port: number;
  /** Requests so far, `METHOD path`. */
  requests: string[];
  close(): void;
}

export async function serve(
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<WebServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const handle: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    listener(request, response);
  };
  const server = createServer(handle).on('connection', (socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** All paths below, each with what it is: `path mode uid` for files and directories, `path -> target` for links. */
export function tree(directory: string, prefix = ''): string[] {
  return readdirSync(join(directory, prefix))
    .sort()
    .flatMap((name) => {
      const path = join(prefix, name);
      const { mode, uid } = lstatSync(join(directory, path));
      const kind = lstatSync(join(directory, path));
      if (kind.isSymbolicLink()) return [`${path} ->`];
      const line = `${path} ${(mode & 0o7777).toString(8)} ${uid}`;
      return kind.isDirectory() ? [`${path}/ ${(mode & 0o7777).toString(8)} ${uid}`, ...tree(directory, path)] : [line];
    });
}

export const contentOf = (sandbox: string, path: string): string => readFileSync(join(sandbox, path), 'utf8');
export { existsSync };
