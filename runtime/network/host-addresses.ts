/** The agent's own addresses, which its tasks with host networking have. */
import { networkInterfaces } from 'node:os';
import type { NetworkInfo } from '../../crds/types.generated.ts';

/** The schema's limit. */
const MOST = 16;

/** One entry without a network's name; loopback and link-local addresses left out. IPv4 first, as most clients want it. */
export function hostNetworkInfos(interfaces = networkInterfaces()): NetworkInfo[] {
  const addresses = Object.values(interfaces)
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:') && !address.startsWith('169.254.'))
    .sort((a, b) => a.family.localeCompare(b.family))
    .map(({ address }) => address);
  return addresses.length > 0 ? [{ ipAddresses: addresses.slice(0, MOST) }] : [];
}
