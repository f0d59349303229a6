/** What is known of a task's attachments, checkpointed per run: enough to take them back whatever became of the agent and of the configuration. */
import type { NetworkInfo } from '../../crds/types.generated.ts';
import type { Attachment } from './cni/chain.ts';
import type { CniResult } from './cni/result.ts';

/**
 * Written durably before the first ADD, without results; after each plug-in's ADD with what it answered (not synced: after a power cut the
 * namespace is gone, and what outlives it - an address's lease - is given back without); and durably when all is done.
 */
export interface NetworkRecord {
  groupId: string;
  namespace: string;
  task: string;
  attachments: AttachmentRecord[];
  /** Where the plug-ins were found. They are called again from there, also by a program that is told of other directories. */
  pluginPath: string;
  /** All networks are attached, and these are the addresses. Absent: the set-up is under way, or was cut short. */
  infos?: NetworkInfo[];
}

export interface AttachmentRecord extends Attachment {
  /** Of the last plug-in that was done. */
  result?: CniResult;
}

export const NETWORK_RECORD = { kind: 'NetworkRecord', version: 1 };
