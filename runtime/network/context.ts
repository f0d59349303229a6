/** What the parts of the networks share. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { CheckpointDirectory } from '../checkpoint/directory.ts';
import type { ChainOptions } from './cni/chain.ts';
import type { ChainResolver } from './cni/resolve-chain.ts';
import type { NetworkRecord } from './record.ts';

export interface NetworkContext {
  records: CheckpointDirectory<NetworkRecord>;
  /** The records, as they are on disk or about to be. */
  known: Map<string, NetworkRecord>;
  /** `<runtimeDir>/tasks`: shared with others that keep things of a task there. */
  tasksDirectory: string;
  configDirectory: string;
  /** Nobody else uses the networks of the configuration directory. */
  isSoleUser: boolean;
  chainOptions: ChainOptions;
  resolver: ChainResolver;
  launcher: { binary?: string };
  closing: AbortController;
  logger: Logger;
}

const SAFE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** The directory of a task's namespace file (`net`) and its other files. */
export function networkDirectory({ tasksDirectory }: NetworkContext, groupId: string): string {
  if (!SAFE_ID.test(groupId)) throw new Error(`"${groupId}" cannot be the id of a task's run`);
  return join(tasksDirectory, groupId, 'network');
}
