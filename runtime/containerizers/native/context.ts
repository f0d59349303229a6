/** What the parts of the native containerizer share. One per agent process. */
import type { Logger } from 'pino';
import type { CgroupDriver } from '../../cgroups/driver.ts';
import type { Isolator } from '../../isolators/isolator.ts';
import type { Launcher } from '../../launcher/client.ts';
import type { FileSystemFeatures } from '../../launcher/probe.ts';
import type { Orphans } from '../orphans.ts';
import type { Container } from './container.ts';
import type { Delegate } from './delegate.ts';
import type { LimitationWatch } from './limitation-watch.ts';
import type { ContainerRecords } from './records.ts';

export interface NativeContext {
  cgroups: CgroupDriver;
  isolators: Isolator[];
  launcher: Launcher;
  records: ContainerRecords;
  /** Launched or recovered, and not destroyed yet. */
  containers: Map<string, Container>;
  limitationWatch: LimitationWatch;
  orphans: Orphans;
  /** Who makes the containers, when it is not the launcher itself. */
  delegate?: Delegate;
  /** What this host can do. */
  features: FileSystemFeatures;
  /** Per boot. */
  runtimeDir: string;
  /** An empty directory below which a container's root is put together. */
  rootMountPoint: string;
  bootId: string;
  logger: Logger;
}
