/** Who this agent is: a name that stays, an id for this data directory, the boot the machine is in. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { readCheckpoint, removeUnfinished, writeCheckpoint } from '../../checkpoint/file.ts';

export interface StoredIdentity {
  name: string;
  agentId: string;
  createdTime: string;
}

const KIND = { kind: 'AgentIdentity', version: 1 };

/** The data directory was used under another agent name. */
export class AgentNameChanged extends Error {
  constructor(stored: string, wanted: string) {
    super(
      `this data directory belongs to agent "${stored}", not "${wanted}": leave out --name, or use another --data-dir`,
    );
    this.name = 'AgentNameChanged';
  }
}

/**
 * Reads the identity, or makes one at the first start. A stored name outlives changes of the host's name. Also removes what an agent that was killed had
 * not finished in the directory: the caller has the lock.
 */
export async function loadIdentity(metaDir: string, wantedName: string | undefined): Promise<StoredIdentity> {
  await removeUnfinished(metaDir);
  const path = join(metaDir, 'agent.json');
  const stored = await readCheckpoint<StoredIdentity>(path, KIND);
  if (stored !== undefined) {
    if (wantedName !== undefined && wantedName !== stored.name) throw new AgentNameChanged(stored.name, wantedName);
    return stored;
  }
  const identity = {
    name: wantedName ?? dnsName(hostname()),
    agentId: randomUUID(),
    createdTime: new Date().toISOString(),
  };
  if (dnsName(identity.name) !== identity.name) {
    throw new Error(`--name "${identity.name}": an agent's name has only lower-case letters, digits, "-" and "."`);
  }
  await writeCheckpoint(path, KIND, identity);
  return identity;
}

/** A host name as the name of an object: "My_Host" becomes "my-host". Pure. */
export function dnsName(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/\.[.-]+|-+\./g, '.')
    .slice(0, 253)
    .replace(/^[.-]+|[.-]+$/g, '');
  return name === '' ? 'agent' : name;
}

/** Changes with every start of the machine. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
