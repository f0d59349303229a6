import type { ResourceDefinition } from '../resources/definition.ts';

export interface DiscoveredVersion {
  version: string;
  definitions: ResourceDefinition[];
}

export interface DiscoveredGroup {
  name: string;
  /** The preferred version first. */
  versions: DiscoveredVersion[];
}

/** The definitions by group and version: built-in groups first, then in the order of their names. */
export function discoveredGroups(definitions: readonly ResourceDefinition[]): DiscoveredGroup[] {
  const groups = new Map<string, Map<string, ResourceDefinition[]>>();
  for (const definition of definitions) {
    const versions = groups.get(definition.group) ?? new Map<string, ResourceDefinition[]>();
    groups.set(definition.group, versions);
    versions.set(definition.version, [...(versions.get(definition.version) ?? []), definition]);
  }
  return [...groups]
    .map(([name, versions]) => ({
      name,
      versions: [...versions]
        .map(([version, found]) => ({ version, definitions: found.sort((a, b) => (a.plural < b.plural ? -1 : 1)) }))
        .sort((a, b) => compareVersions(a.version, b.version)),
    }))
    .sort((a, b) => Number(isBuiltin(b.name)) - Number(isBuiltin(a.name)) || (a.name < b.name ? -1 : 1));
}

function isBuiltin(group: string): boolean {
  return group === '' || group.endsWith('.k8s.io');
}

/** Kubernetes' order, best first: v2, v1, v1beta2, v1beta1, v1alpha1, then anything else by name. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [rank(a), rank(b)];
  if (!left || !right) return Number(!left) - Number(!right) || (a < b ? -1 : Number(a > b));
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return right[i]! - left[i]!;
  return 0;
}

function rank(version: string): number[] | undefined {
  const match = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/.exec(version);
  if (!match) return undefined;
  const stability = match[2] === 'alpha' ? 0 : match[2] === 'beta' ? 1 : 2;
  return [stability, Number(match[1]), Number(match[3] ?? 0)];
}
