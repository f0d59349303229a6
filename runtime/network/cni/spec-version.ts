/** Versions of the CNI specification: which there are, what each brought, and which one a network is used with. Pure. */

/** Those that we speak, the newest first. */
export const SPEC_VERSIONS = ['1.1.0', '1.0.0', '0.4.0', '0.3.1', '0.3.0'] as const;
export type SpecVersion = (typeof SPEC_VERSIONS)[number];

export function isSpecVersion(version: unknown): version is SpecVersion {
  return SPEC_VERSIONS.includes(version as SpecVersion);
}

export function isAtLeast(version: SpecVersion, other: SpecVersion): boolean {
  return SPEC_VERSIONS.indexOf(version) <= SPEC_VERSIONS.indexOf(other);
}

/** CHECK, and `prevResult` for DEL, came with 0.4.0. */
export const hasCheck = (version: SpecVersion): boolean => isAtLeast(version, '0.4.0');
/** GC came with 1.1.0. */
export const hasGc = (version: SpecVersion): boolean => isAtLeast(version, '1.1.0');

/**
 * The newest version that the configuration allows and that we and all its plug-ins speak; undefined when there is none.
 * `plugins` has what each plug-in answered to VERSION.
 */
export function negotiateVersion(allowed: string[], plugins: string[][]): SpecVersion | undefined {
  return SPEC_VERSIONS.find(
    (version) => allowed.includes(version) && plugins.every((supported) => supported.includes(version)),
  );
}
