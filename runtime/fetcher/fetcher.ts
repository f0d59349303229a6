/** Brings files into sandboxes before a container starts: plan (plan.ts) -> download or copy into staging -> verify -> place (place.ts). */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { FetchUri } from '../../crds/types.generated.ts';
import { buildLauncher } from '../launcher/build.ts';
import { createFetchCache, type FetchCache } from './cache.ts';
import { createToolRunner, type FetchUser, succeeded, ToolFailed, type ToolRunner } from './confined.ts';
import type { Download, Downloaded, DownloadOptions } from './download.ts';
import { FetchFailed, withoutCredentials } from './errors.ts';
import { localFile } from './local.ts';
import { place } from './place.ts';
import { type FetchPlan, planFetch } from './plan.ts';
import { createSlots, type Slots } from './slots.ts';

export interface FetcherOptions {
  /** Ours alone, on a disk; what an earlier agent process left in it is removed. */
  cacheDirectory: string;
  /** Most bytes that the cache holds. Default 2 GiB, as Mesos. 0: nothing is cached. */
  cacheBytes?: number;
  /** Directories that `file:` addresses may be in or below, asked for at each fetch. Default: none. */
  allowedFilePaths?: () => string[];
  /** Tasks whose files are fetched at a time. Default 8. */
  maxConcurrent?: number;
  /** The launcher's program. Default: built on first use. */
  launcherBinary?: string;
  download?: DownloadOptions;
}

export interface FetchRequest {
  /** One after another, in this order. */
  uris: FetchUri[];
  /** Directory of the task, owned by its user. */
  sandbox: string;
  /** A directory that the sandbox is in and that only the agent writes to. Default: its parent. */
  sandboxRoot?: string;
  /** Everything is written as this user. */
  user: FetchUser;
  signal?: AbortSignal;
  /** Called at most four times a second for each file, and when one is complete. */
  onProgress?(progress: FetchProgress): void;
}

export interface FetchProgress {
  /** Address without user name, password and query. */
  item: string;
  doneBytes: number;
  totalBytes?: number;
}

export interface Fetcher {
  /** Resolves when all files are in the sandbox; rejects with FetchFailed for the first that cannot be fetched, or the signal's reason. */
  fetch(request: FetchRequest): Promise<void>;
  /** Ends idle connections. Fetches under way are the callers' to abort. */
  close(): Promise<void>;
}

const PROGRESS_MS = 250;
const DEFAULT_CACHE_BYTES = 2 * 2 ** 30;

export async function openFetcher(options: FetcherOptions): Promise<Fetcher> {
  const { cacheDirectory, cacheBytes = DEFAULT_CACHE_BYTES, allowedFilePaths = () => [], maxConcurrent = 8 } = options;
  const [files, staging, root] = ['files', 'staging', 'root'].map((name) => `${cacheDirectory}/${name}`) as [
    string,
    string,
    string,
  ];
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o700 });
  for (const directory of [files, staging, root]) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o700 });
  }
  const { download, close } = downloaderOnFirstUse(options.download);
  const context: Context = {
    staging,
    files,
    cache: cacheBytes > 0 ? createFetchCache(files, cacheBytes, download) : undefined,
    tools: await createToolRunner(options.launcherBinary ?? (await buildLauncher()), root),
    download,
    allowedFilePaths,
    slots: createSlots(maxConcurrent),
  };
  return { fetch: (request) => fetchAll(context, request), close };
}

/** The HTTP client is loaded with the first download: it takes 20 MiB, which an agent that fetches nothing does not pay. */
function downloaderOnFirstUse(options: DownloadOptions | undefined): { download: Download; close(): Promise<void> } {
  let loading: Promise<{ download: Download; close(): Promise<void> }> | undefined;
  return {
    async download(request) {
      loading ??= import('./download.ts').then(({ createDownloader }) => createDownloader(options));
      return (await loading).download(request);
    },
    async close() {
      await (await loading)?.close();
    },
  };
}

interface Context {
  files: string;
  staging: string;
  cache: FetchCache | undefined;
  tools: ToolRunner;
  download: Download;
  allowedFilePaths: () => string[];
  slots: Slots;
}

async function fetchAll(context: Context, request: FetchRequest): Promise<void> {
  // All are looked at first: a bad one is told before anything large is fetched.
  const plans = request.uris.map(planFetch);
  await context.slots.use(async () => {
    for (const plan of plans) {
      request.signal?.throwIfAborted();
      await fetchOne(context, request, plan);
    }
  }, request.signal);
}

async function fetchOne(context: Context, request: FetchRequest, plan: FetchPlan): Promise<void> {
  const report = throttled(plan, request.onProgress);
  try {
    const cached =
      plan.cache && plan.url.protocol !== 'file:' ? await fromCache(context, request, plan, report) : undefined;
    // A file whose content has changed since, or that another task's digest disagrees with, is fetched directly.
    if (cached && (plan.sha256 === undefined || plan.sha256 === cached.sha256)) {
      try {
        await placeFile(context, request, plan, { path: cached.path, below: context.files }, false);
      } finally {
        cached.release();
      }
      return;
    }
    cached?.release();
    await fetchDirectly(context, request, plan, report);
  } catch (error) {
    if (request.signal?.aborted) throw request.signal.reason;
    throw error instanceof FetchFailed ? error : new FetchFailed(plan.uri, (error as Error).message, { cause: error });
  }
}

type Report = (doneBytes: number, totalBytes: number | undefined) => void;

function fromCache({ cache }: Context, { user, signal }: FetchRequest, plan: FetchPlan, onProgress: Report) {
  const { url, stallTimeoutMs } = plan;
  return cache?.acquire(
    { user: `${user.uid}:${user.gid}`, url },
    { url, stallTimeoutMs, onProgress, ...(signal && { signal }) },
  );
}

async function fetchDirectly(
  context: Context,
  request: FetchRequest,
  plan: FetchPlan,
  onProgress: Report,
): Promise<void> {
  const path = `${context.staging}/${randomUUID()}`;
  const { url, stallTimeoutMs, sha256 } = plan;
  const { signal } = request;
  try {
    const { sha256: actual } =
      url.protocol === 'file:'
        ? await copyLocal(context, request, plan, path, onProgress)
        : await context.download({ url, path, stallTimeoutMs, onProgress, ...(signal && { signal }) });
    if (sha256 !== undefined && sha256 !== actual) {
      throw new FetchFailed(plan.uri, `its SHA-256 is ${actual} and not ${sha256}`);
    }
    await placeFile(context, request, plan, { path, below: context.staging }, true);
  } finally {
    await rm(path, { force: true });
  }
}

async function placeFile(
  { tools }: Context,
  { sandbox, sandboxRoot, user, signal }: FetchRequest,
  plan: FetchPlan,
  input: { path: string; below: string },
  keepArchive: boolean,
): Promise<void> {
  await place(tools, {
    plan,
    input,
    sandbox: { path: sandbox, ...(sandboxRoot !== undefined && { below: sandboxRoot }) },
    user,
    keepArchive,
    ...(signal && { signal }),
  });
}

/** Read by the task's user: what that one may not read on this machine it does not get. */
async function copyLocal(
  { tools, allowedFilePaths }: Context,
  { user, signal }: FetchRequest,
  { uri, url }: FetchPlan,
  path: string,
  onProgress: Report,
): Promise<Downloaded> {
  const input = localFile(uri, url, allowedFilePaths());
  const tool = { argv: ['cat', '/input'], input, user, ...(signal && { signal }) };
  let session: Awaited<ReturnType<ToolRunner['start']>>;
  try {
    session = await tools.start(tool);
  } catch (error) {
    throw new FetchFailed(uri, `it cannot be opened: ${(error as Error).message}`, { cause: error });
  }
  session.stdin?.end();
  const ended = succeeded(session, tool);
  ended.catch(() => {});
  const file = await open(path, 'wx', 0o644);
  try {
    const downloaded = await store(session.stdout as Readable, file, onProgress);
    await ended;
    return downloaded;
  } catch (error) {
    session.signal(9);
    if (error instanceof ToolFailed) throw new FetchFailed(uri, `user ${user.name} cannot read it: ${error.message}`);
    throw error;
  } finally {
    await file.close();
  }
}

async function store(from: Readable, file: FileHandle, onProgress: Report): Promise<Downloaded> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of from) {
    await file.writeFile(chunk as Buffer);
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    onProgress(bytes, undefined);
  }
  onProgress(bytes, bytes);
  return { bytes, sha256: hash.digest('hex') };
}

function throttled({ uri }: FetchPlan, onProgress: FetchRequest['onProgress']): Report {
  const item = withoutCredentials(uri);
  let last = Number.NEGATIVE_INFINITY;
  return (doneBytes, totalBytes) => {
    const now = performance.now();
    if (!onProgress || (doneBytes !== totalBytes && now - last < PROGRESS_MS)) return;
    last = now;
    onProgress({ item, doneBytes, ...(totalBytes !== undefined && { totalBytes }) });
  };
}
