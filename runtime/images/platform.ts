/** Which manifest of an index is for this machine. */
import { type Descriptor, ManifestInvalid } from './descriptor.ts';

export interface Platform {
  os: 'linux';
  /** As Go calls it. */
  architecture: string;
  /** Acceptable variants, the best first; "" is none said. */
  variants: string[];
}

const ARCHITECTURES: Record<string, Omit<Platform, 'os'>> = {
  x64: { architecture: 'amd64', variants: ['', 'v1'] },
  arm64: { architecture: 'arm64', variants: ['v8', ''] },
  arm: { architecture: 'arm', variants: ['v7', 'v6', 'v5', ''] },
  ia32: { architecture: '386', variants: [''] },
  ppc64: { architecture: 'ppc64le', variants: [''] },
  s390x: { architecture: 's390x', variants: [''] },
  riscv64: { architecture: 'riscv64', variants: [''] },
  loong64: { architecture: 'loong64', variants: [''] },
};

/** Of this process by default. */
export function hostPlatform(arch: string = process.arch): Platform {
  return { os: 'linux', ...(ARCHITECTURES[arch] ?? { architecture: arch, variants: [''] }) };
}

/** Pure. An entry without a platform is taken when it is the only one. Throws ManifestInvalid. */
export function selectManifest(manifests: Descriptor[], wanted: Platform): Descriptor {
  const candidates = manifests.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  for (const variant of wanted.variants) {
    const found = candidates.find(({ platform }) => (platform?.variant ?? '') === variant);
    if (found) return found;
  }
  const [only, ...others] = manifests;
  if (only !== undefined && others.length === 0 && only.platform === undefined) return only;
  const offered = manifests.map(({ platform }) => nameOf(platform)).filter((name) => name !== 'unknown/unknown');
  throw new ManifestInvalid(
    `it is not made for linux/${wanted.architecture}, only for ${[...new Set(offered)].join(', ') || 'nothing'}`,
  );
}

function nameOf(platform: Descriptor['platform']): string {
  if (platform === undefined) return 'an unknown platform';
  const { os, architecture, variant } = platform;
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`;
}
