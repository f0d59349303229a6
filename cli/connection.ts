import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { ApiClient } from '../controllers/machinery/client/client.ts';
import type { ClusterConfig } from '../controllers/machinery/client/cluster-config.ts';
import { DEFAULT_DATA_DIR_TEXT, defaultDataDir } from '../runtime/rootless/directories.ts';
import { CliError, EXIT_CODES } from './exit-codes.ts';

export interface ConnectionOptions {
  kubeconfig?: string;
  context?: string;
  dataDir?: string;
}

/** Adds the options that say which API server a client command talks to. */
export function withConnection(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'kubeconfig to use (default: that of --data-dir, $KUBECONFIG, ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig')
    .option(
      '--data-dir <dir>',
      `use the kubeconfig of the embedded server with this data directory (default: ${DEFAULT_DATA_DIR_TEXT})`,
    );
}

/** Which kubeconfig is used; undefined where kubectl's own rules decide ($KUBECONFIG, or a pod's service account). */
export function kubeconfigPath(options: ConnectionOptions): string | undefined {
  if (options.kubeconfig) return existing(options.kubeconfig, '--kubeconfig');
  if (options.dataDir && existsSync(join(options.dataDir, 'kubeconfig'))) return join(options.dataDir, 'kubeconfig');
  if (process.env.KUBECONFIG || process.env.KUBERNETES_SERVICE_HOST) return undefined;
  if (options.dataDir) return existing(join(options.dataDir, 'kubeconfig'), '--data-dir');
  for (const path of [join(defaultDataDir(), 'kubeconfig'), join(homedir(), '.kube', 'config')])
    if (existsSync(path)) return path;
  throw new CliError(
    'no kubeconfig found: start an embedded server with `tepui up`, or name one with --kubeconfig, --data-dir or KUBECONFIG',
    EXIT_CODES.unreachable.code,
  );
}

export async function connect(options: ConnectionOptions): Promise<ApiClient> {
  const { createApiClient } = await import('../controllers/machinery/client/api-client.ts');
  return createApiClient(await clusterConfig(options));
}

/** The bearer token of the kubeconfig, for calls to an agent on another machine; undefined when it authenticates in another way. */
export async function tokenOf(options: ConnectionOptions): Promise<string | undefined> {
  const config = await clusterConfig(options);
  const credentials = config.credentials ?? (await config.refreshCredentials?.(false));
  return credentials?.token;
}

async function clusterConfig(options: ConnectionOptions): Promise<ClusterConfig> {
  const { loadClusterConfig } = await import('../controllers/machinery/client/kubeconfig.ts');
  const path = kubeconfigPath(options);
  return loadClusterConfig({
    ...(path ? { kubeconfig: path } : {}),
    ...(options.context ? { context: options.context } : {}),
  });
}

function existing(path: string, origin: string): string {
  if (existsSync(path)) return path;
  throw new CliError(`${origin}: ${path} does not exist`, EXIT_CODES.unreachable.code);
}
