/**
 * What the agent asks of the image store: root file systems from images, ready to be mounted.
 *
 * Guarantees: a layer on disk is either complete and verified or not visible. What a holder uses is not removed before `release`, also across
 * restarts of the agent. Concurrent users of an image share one download; it ends when the last of them gives up.
 * Assumptions: one process per directory (the agent's lock).
 */
import type { RegistryCredentials } from './registry/credentials.ts';

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never';

export interface ProvisionRequest {
  /** As in the document: `[registry/]repository[:tag][@digest]`, `oci:/dir[:name]`, `docker-archive:/file[:name]` or `oci-archive:/file[:name]`. */
  reference: string;
  /** Default: Always for tag `latest`, no tag, and files on disk; otherwise IfNotPresent. */
  pullPolicy?: PullPolicy;
  /** From the task's pull secrets; tried before those of the operator. */
  credentials?: RegistryCredentials[];
  /** Who uses the image: the container's id. A holder may hold several images (its root and its image volumes). */
  holder: string;
  /** Directories that images on disk may come from (Agent `spec.isolation.allowedHostPaths`). Absent: anywhere. */
  allowedPaths?: string[];
  /** Gives up waiting; the download goes on for as long as somebody else waits for it. */
  signal?: AbortSignal;
  onProgress?: (progress: ImageProgress) => void;
}

export interface ImageProgress {
  phase: 'Resolving' | 'Pulling' | 'Complete';
  /** The image's reference in full. */
  item: string;
  /** Compressed bytes of this image's layers: those on disk already count as done. */
  doneBytes: number;
  totalBytes: number;
}

export interface ProvisionedImage {
  /** As the document has it. */
  reference: string;
  /** `sha256:...` of the manifest for this platform. */
  digest: string;
  /** Unpacked layers, the uppermost first, as overlay's `lowerdir`. Read-only for everybody. */
  layers: string[];
  config: ImageConfig;
  /**
   * A user of the image by its /etc/passwd and /etc/group: "name", "uid", "name:group", "uid:gid". Absent: the image's `User`, else 0.
   * Rejects with ImageUserUnknown.
   */
  lookupUser(text?: string): Promise<ImageUser>;
}

export interface ImageUser {
  uid: number;
  gid: number;
  supplementalGids: number[];
  name: string;
  home: string;
}

/** The part of an image's configuration that containers follow. */
export interface ImageConfig {
  entrypoint?: string[];
  cmd?: string[];
  /** `NAME=value`. */
  env?: string[];
  workingDir?: string;
  user?: string;
  /** Name or number, as the image has it. */
  stopSignal?: string;
  /** `80/tcp`. */
  exposedPorts?: string[];
}

/** A row of `tepui images ls`. */
export interface StoredImage {
  /** In full, with registry and tag or digest. */
  reference: string;
  digest: string;
  /** Bytes on disk of all its layers, those shared with other images too. */
  sizeBytes: number;
  layers: number;
  /** RFC 3339. */
  pulledAt: string;
  lastUsedAt: string;
  /** Containers that use it. */
  holders: string[];
}

export interface PullRequest {
  reference: string;
  /** Default: Always. */
  pullPolicy?: PullPolicy;
  credentials?: RegistryCredentials[];
  signal?: AbortSignal;
  onProgress?: (progress: ImageProgress) => void;
}

export interface PruneReport {
  /** References (or digests of images without one) that were removed. */
  removed: string[];
  freedBytes: number;
}

export interface Images {
  /** Pulls what is missing and pins it for the holder. Rejects with ImageReferenceInvalid, ImagePullFailed or ImageNotPresent. */
  provision(request: ProvisionRequest): Promise<ProvisionedImage>;
  /** The holder uses no image any more. Idempotent, tolerates unknown ids. Call it after the container's mounts are gone. */
  release(holder: string): Promise<void>;
  /** Forgets all other holders: at recovery. */
  retainHolders(ids: string[]): Promise<void>;
  /** Pulls without a holder. Durable when it resolves. */
  pull(request: PullRequest): Promise<StoredImage>;
  list(): StoredImage[];
  /** Removes a reference, and its layers when nothing else needs them. Rejects with ImageInUse or ImageNotPresent. */
  remove(reference: string): Promise<PruneReport>;
  /** Removes images that no container uses. Default: all of them but the excluded; with `untilBytesFree` the least recently used first. */
  prune(options?: { untilBytesFree?: number }): Promise<PruneReport>;
  /** Ends downloads; what is on disk stays. */
  close(): Promise<void>;
}
