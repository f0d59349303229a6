/** What can be set on an agent process. Policy of the machine (allowed paths, default user ...) is in the Agent document instead. */
import type { Logger } from 'pino';
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import type { Containerizer } from '../containerizers/containerizer.ts';

export interface AgentOptions {
  /** How often the Lease is renewed. Default: 15. */
  heartbeatIntervalSeconds?: number;
  /** How long the Lease is good for; then the controllers take the agent for unreachable. Default: 75. */
  leaseDurationSeconds?: number;
  /** A corrupt checkpoint ends the start (true, the default), or is logged and left out (false): its task is then reported Gone. */
  strict?: boolean;
  /** Launches and removals that run at once. Default: 8. */
  maxConcurrentLaunches?: number;
  /** Address of the HTTPS endpoint for logs and exec; false: only the Unix socket. Default: 127.0.0.1 and a free port. */
  endpoint?: { host?: string; port?: number } | false;
  /** Directory of CNI network configurations. Default: `cni/net.d` in the agent's part of the data directory. See runtime/network. */
  cniConfigDirectory?: string;
  /** Directories of CNI plug-ins, separated by colons. Default: CNI_PATH, else /opt/cni/bin:/usr/lib/cni. */
  cniPluginPath?: string;
  /** How often the disk usage of sandboxes and volumes is measured. Default: 15. */
  diskWatchIntervalSeconds?: number;
  /** Where per-boot directories are. Default: /run/tepui, without root $XDG_RUNTIME_DIR/tepui. */
  runtimeRoot?: string;
  /** Labels for the Agent document when it is created, beside those of host name, system and architecture. */
  labels?: Record<string, string>;
  /** Version shown in the Agent document. */
  version?: string;
  /** Boot id, for tests of a restart of the machine. Default: the kernel's. */
  bootId?: string;
  /** OCI runtime of the containerizer `oci`: a name on PATH or an absolute path. Default: crun, else runc, else youki. */
  ociRuntime?: string;
  /** Socket of the Docker Engine of the containerizer `docker`. Default: /var/run/docker.sock. */
  dockerSocket?: string;
  /** Takes the place of the agent's own containerizers. */
  containerizer?: Containerizer;
}

export interface StartAgent {
  /** The API: either a client (which the caller closes) or the path of a kubeconfig; absent: as kubectl finds it. */
  client?: ApiClient;
  kubeconfig?: string;
  dataDir: string;
  /** Name of the Agent document. Default: the one this data directory already has, else the host's name. */
  name?: string;
  options?: AgentOptions;
  logger: Logger;
}
