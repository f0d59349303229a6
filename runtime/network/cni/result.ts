/** What a plug-in answers to ADD: interfaces, addresses, routes, DNS. Pure. */
import { isAtLeast, type SpecVersion } from './spec-version.ts';

export interface CniInterface {
  name: string;
  mac?: string;
  /** Path of the namespace; absent or empty: an interface of the host. */
  sandbox?: string;
}

export interface CniAddress {
  /** With prefix length. */
  address: string;
  gateway?: string;
  /** Index into `interfaces`. */
  interface?: number;
  /** "4" or "6": only before 1.0.0. */
  version?: string;
}

export interface CniDns {
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** Kept as it came, since plug-ins get it back as `prevResult`. */
export interface CniResult {
  cniVersion?: string;
  interfaces?: CniInterface[];
  ips?: CniAddress[];
  routes?: unknown[];
  dns?: CniDns;
  [key: string]: unknown;
}

/** The answer as `version` has it; plug-ins may answer in another. Throws an Error that names the key. */
export function parseResult(answer: Record<string, unknown>, version: SpecVersion): CniResult {
  const result = answer as CniResult;
  for (const key of ['interfaces', 'ips', 'routes'] as const) {
    if (result[key] !== undefined && result[key] !== null && !Array.isArray(result[key]))
      throw new Error(`its result's "${key}" is no list`);
  }
  for (const { address } of result.ips ?? [])
    if (typeof address !== 'string') throw new Error('its result has an address without text');
  return {
    ...result,
    cniVersion: version,
    ...(result.ips && { ips: result.ips.map((ip) => addressAs(ip, version)) }),
  };
}

export interface InterfaceInfo {
  addresses: string[];
  gateways: string[];
  mac?: string;
}

/** What the result says of one interface in the container. Addresses are without prefix length. */
export function interfaceInfo({ interfaces, ips }: CniResult, name: string): InterfaceInfo {
  const index = (interfaces ?? []).findIndex((candidate) => candidate.name === name && Boolean(candidate.sandbox));
  // Plug-ins that name no interfaces mean the one they were asked for.
  const own = (ips ?? []).filter((ip) => ip.interface === undefined || ip.interface === index);
  const mac = interfaces?.[index]?.mac;
  return {
    addresses: own.map(({ address }) => address.replace(/\/\d+$/, '')),
    gateways: [...new Set(own.flatMap(({ gateway }) => (gateway ? [gateway] : [])))],
    ...(mac && { mac }),
  };
}

/** 1.0.0 dropped the address family, older versions need it. */
function addressAs({ version: _version, ...address }: CniAddress, version: SpecVersion): CniAddress {
  if (isAtLeast(version, '1.0.0')) return address;
  return { version: address.address.includes(':') ? '6' : '4', ...address };
}
