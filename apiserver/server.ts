import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ensureAdminToken, ensureKubeconfig } from './auth/kubeconfig.ts';
import { ensureServerIdentity } from './auth/pki.ts';
import { reviewDefinitions } from './auth/reviews.ts';
import { createAuthenticator } from './auth/tokens.ts';
import { discoveryHandler } from './discovery/discovery.ts';
import { createGarbageCollector } from './gc/garbage-collector.ts';
import { createHandler } from './http/handler.ts';
import type { HealthChecks } from './http/health.ts';
import { type Listener, type ListenerLimits, listen, tryAddress } from './http/listener.ts';
import { createLoopback, type Loopback } from './http/loopback.ts';
import { createMetrics } from './http/metrics.ts';
import { OpenWatches } from './http/watch-handler.ts';
import { openapiHandler } from './openapi/openapi.ts';
import { createRegistry } from './registry/registry.ts';
import type { ResourceContext } from './resources/context.ts';
import { registerCrds } from './resources/crd-registration.ts';
import { systemNamespaces } from './resources/namespaces.ts';
import { createObjectStorage } from './resources/object-storage.ts';
import { exitCodes, StartupError } from './startup-error.ts';
import { openDataDirectory } from './store/data-directory.ts';
import type { HistoryLimits } from './store/history.ts';
import { LogRefused } from './store/log.ts';
import { openStore, type Store } from './store/store.ts';
import { WatchHub } from './watch/hub.ts';
import { defaultMaxPendingBytes } from './watch/stream.ts';
import type { WatchSettings } from './watch/watch.ts';

export { StartupError } from './startup-error.ts';

export interface ApiServerOptions {
  dataDir: string;
  /** Default 0: a free one. */
  port?: number;
  /** Default 127.0.0.1: nobody but this machine. */
  address?: string;
  logger: Logger;
  /** How long open requests may last when the server closes. Default 10 s. */
  shutdownGraceMs?: number;
  history?: Partial<HistoryLimits>;
  watch?: Partial<WatchSettings>;
  limits?: Partial<ListenerLimits>;
}

export interface ApiServer {
  port: number;
  url: string;
  kubeconfigPath: string;
  /** For clients in this process: see ClusterConfig.sender. */
  loopback: Pick<Loopback, 'dispatch'>;
  /** Readiness fails first, then watches end, then open requests are finished; what was acknowledged is on disk. */
  close(): Promise<void>;
}

const defaultWatch: WatchSettings = { bookmarkIntervalMs: 60_000, maxPendingBytes: defaultMaxPendingBytes };
const certificateCheckMs = 12 * 3600_000;

/** Starts the embedded API server on a data directory. Rejects with StartupError, one sentence for the user, and leaves nothing running then. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { dataDir, logger, address = '127.0.0.1' } = options;
  // A server that cannot listen anyway makes no data directory. Of one that is there its own complaints come first.
  if (!existsSync(dataDir)) await orExplain(options, address, () => tryAddress(address, options.port ?? 0));
  const directories = openDataDirectory(dataDir);
  const identity = await ensureServerIdentity(directories.auth, address);
  const kubeconfigPath = join(dataDir, 'kubeconfig');
  const token = ensureAdminToken(kubeconfigPath, directories.auth);
  const authenticator = createAuthenticator(directories.auth, logger);
  let store: Store | undefined;
  const watches = new OpenWatches();
  const metrics = createMetrics({
    store: () => store,
    watches: () => watches.size,
    inFlight: () => handler.inFlight(),
  });
  store = await openStoreOrExplain(join(directories.server, 'store.db'), options, metrics.transaction);

  const registry = createRegistry(reviewDefinitions(authenticator));
  const context: ResourceContext = { store, registry, now: () => new Date() };
  const storage = createObjectStorage(context);
  const crds = registry.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions')!;
  const onCrdError = (err: unknown) =>
    logger.error({ err }, 'status of a CustomResourceDefinition could not be written');
  registerCrds(storage, registry, crds, onCrdError);
  registry.onChange(() => watches.endUnless((d) => registry.find(d.group, d.version, d.plural) === d));
  const hub = new WatchHub();
  store.onCommit((entries) => hub.publish(entries));

  let closing = false;
  const handler = createHandler({
    context,
    hub,
    watches,
    watchSettings: { ...defaultWatch, ...options.watch },
    authenticator,
    documents: [discoveryHandler(registry), openapiHandler(registry)],
    health: healthChecks(store, () => closing),
    metrics,
    isClosing: () => closing,
    logger,
  });
  let listener: Listener;
  try {
    await createSystemNamespaces(context, storage);
    const { port = 0, limits } = options;
    listener = await orExplain(options, address, () =>
      listen({ address, port, tls: identity, handle: handler.handle, ...(limits && { limits }) }),
    );
  } catch (error) {
    await store.close();
    throw error;
  }
  const loopback = createLoopback(handler.handle);
  const url = `https://${urlHost(address)}:${listener.port}`;
  ensureKubeconfig(kubeconfigPath, { url, ca: identity.ca, token });
  const stopBackground = new AbortController();
  createGarbageCollector({ storage, registry, logger }).start(stopBackground.signal);
  const renewal = setInterval(
    () => void renewCertificate(directories.auth, address, listener, logger),
    certificateCheckMs,
  );
  renewal.unref();
  logger.info({ url, dataDir }, 'API server started');

  let closed: Promise<void> | undefined;
  const close = async () => {
    closing = true;
    clearInterval(renewal);
    stopBackground.abort();
    watches.endAll();
    const graceMs = options.shutdownGraceMs ?? 10_000;
    await Promise.all([listener.close(graceMs), loopback.close(graceMs)]);
    await store.close();
    logger.info('API server stopped');
  };
  return {
    port: listener.port,
    url,
    kubeconfigPath,
    loopback,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

async function openStoreOrExplain(
  path: string,
  options: ApiServerOptions,
  onTransaction: NonNullable<Parameters<typeof openStore>[0]['onTransaction']>,
): Promise<Store> {
  try {
    return await openStore({ path, onTransaction, ...(options.history && { history: options.history }) });
  } catch (error) {
    if (!(error instanceof LogRefused)) throw error;
    const sentences = {
      newer: `The store ${path} was written by a newer version of Tepui (${error.message}): use that version, or another --data-dir.`,
      locked: `The data directory ${options.dataDir} is in use by another Tepui server: stop that one first, or use another --data-dir.`,
      damaged: `The store ${path} cannot be read (${error.message}): restore it from a backup, or use another --data-dir.`,
      unwritable: `The store ${path} cannot be written: ${error.message}.`,
    };
    throw new StartupError(sentences[error.why], error.why === 'unwritable' ? exitCodes.cannotCreate : exitCodes.data, {
      cause: error,
    });
  }
}

async function orExplain<T>({ port = 0 }: ApiServerOptions, address: string, listening: () => Promise<T>): Promise<T> {
  try {
    return await listening();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      const text = `Port ${port} on ${address} is already in use: choose another with --port, or 0 for a free one.`;
      throw new StartupError(text, exitCodes.unavailable, { cause: error });
    }
    if (code === 'EACCES') {
      throw new StartupError(`Port ${port} on ${address} needs more rights.`, exitCodes.noPermission, { cause: error });
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      const text = `The address ${address} is not one of this machine.`;
      throw new StartupError(text, exitCodes.unavailable, { cause: error });
    }
    throw new StartupError(`The server cannot listen on ${address}:${port}: ${message}.`, exitCodes.unavailable, {
      cause: error,
    });
  }
}

async function createSystemNamespaces(
  context: ResourceContext,
  storage: ReturnType<typeof createObjectStorage>,
): Promise<void> {
  const namespaces = context.registry.find('', 'v1', 'namespaces');
  if (namespaces === undefined) return;
  const missing = systemNamespaces.filter((name) => storage.get(namespaces, { name }) === undefined);
  await Promise.all(
    missing.map((name) => storage.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
  );
}

function healthChecks(store: Store, isClosing: () => boolean): HealthChecks {
  const ping = { name: 'ping', problem: () => undefined };
  const storeCheck = { name: 'store', problem: () => store.failure?.message };
  const shutdown = { name: 'shutdown', problem: () => (isClosing() ? 'the server is stopping' : undefined) };
  return { live: [ping], ready: [ping, storeCheck, shutdown] };
}

async function renewCertificate(directory: string, address: string, listener: Listener, logger: Logger): Promise<void> {
  try {
    const identity = await ensureServerIdentity(directory, address);
    listener.setTls(identity);
  } catch (err) {
    logger.error({ err }, 'certificate could not be renewed');
  }
}

/** An address for a URL: loopback stands for "all addresses", IPv6 goes into brackets. */
function urlHost(address: string): string {
  if (address === '0.0.0.0' || address === '::') return '127.0.0.1';
  return address.includes(':') ? `[${address}]` : address;
}
