import { createHash } from 'node:crypto';
import type { ResourceDefinition } from '../resources/definition.ts';
import type { DiscoveredGroup, DiscoveredVersion } from './groups.ts';
import { subresourcesOf } from './subresources.ts';

/** `/api` */
export function apiVersions(): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '' }],
  };
}

/** `/apis` */
export function apiGroupList(groups: readonly DiscoveredGroup[]): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.filter(({ name }) => name !== '').map(groupEntry) };
}

/** `/apis/<group>` */
export function apiGroup(group: DiscoveredGroup): object {
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(group) };
}

function groupEntry({ name, versions }: DiscoveredGroup): object {
  const entries = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: entries, preferredVersion: entries[0] };
}

/** `/api/v1` and `/apis/<group>/<version>` */
export function apiResourceList(group: string, { version, definitions }: DiscoveredVersion): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group ? `${group}/${version}` : version,
    resources: definitions.flatMap(resourceEntries),
  };
}

function resourceEntries(definition: ResourceDefinition): object[] {
  const { plural, singular, namespaced, kind, verbs, shortNames, categories } = definition;
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs,
      ...(shortNames.length > 0 && { shortNames }),
      ...(categories.length > 0 && { categories }),
      ...(!definition.review && { storageVersionHash: storageVersionHash(definition) }),
    },
    ...subresourcesOf(definition).map(({ name, verbs: subVerbs, responseKind }) => ({
      name: `${plural}/${name}`,
      singularName: '',
      namespaced,
      ...(responseKind && { group: responseKind.group, version: responseKind.version }),
      kind: responseKind?.kind ?? kind,
      verbs: subVerbs,
    })),
  ];
}

/** Tells clients whether the stored form changed; computed as the genuine server does. */
function storageVersionHash({ group, version, kind }: ResourceDefinition): string {
  return createHash('sha256').update(`${group}/${version}/${kind}`).digest().subarray(0, 8).toString('base64');
}
