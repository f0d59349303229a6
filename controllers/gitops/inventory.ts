import { createHash } from 'node:crypto';
import type { ApiClient, ApiObject, ObjectKey, Resource } from '../machinery/client/client.ts';

/** One object that a directory has applied, with the file it came from: a file that breaks later must not lose its objects. */
export interface InventoryEntry {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  namespace?: string;
  name: string;
  file: string;
}

interface InventoryDocument extends ApiObject {
  data?: Record<string, string>;
}

const CONFIG_MAPS: Resource<InventoryDocument> = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const NAMESPACE = 'tepui-system';

/** What a directory has applied, kept in a ConfigMap so that a restart still knows what to prune. */
export interface Inventory {
  read(): Promise<InventoryEntry[]>;
  write(entries: InventoryEntry[]): Promise<void>;
}

export function createInventory(client: ApiClient, directory: string): Inventory {
  const key: ObjectKey = {
    namespace: NAMESPACE,
    name: `directory-${createHash('sha256').update(directory).digest('hex').slice(0, 12)}`,
  };
  return {
    async read() {
      const stored = await client.get(CONFIG_MAPS, key);
      return stored?.data?.entries ? (JSON.parse(stored.data.entries) as InventoryEntry[]) : [];
    },
    async write(entries) {
      const data = { directory, entries: JSON.stringify(entries) };
      const stored = await client.get(CONFIG_MAPS, key);
      if (!stored) {
        await client.create(CONFIG_MAPS, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { ...key, labels: { 'app.kubernetes.io/managed-by': 'tepui' } },
          data,
        });
      } else if (stored.data?.entries !== data.entries) await client.mergePatch(CONFIG_MAPS, key, { data });
    },
  };
}

export function inventoryId(entry: Pick<InventoryEntry, 'group' | 'plural' | 'namespace' | 'name'>): string {
  return [entry.group, entry.plural, entry.namespace ?? '', entry.name].join('/');
}
