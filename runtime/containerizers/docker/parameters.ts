/**
 * `containers[].docker.parameters`: what Mesos hands to `docker run` as long options, as far as it has a place in the engine's API and grants nothing
 * that a document cannot ask for elsewhere. Pure.
 */

export interface DockerParameter {
  key: string;
  value: string;
}

export interface ParameterTarget {
  Labels: Record<string, string>;
  Hostname?: string;
  Domainname?: string;
  MacAddress?: string;
  HostConfig: {
    Dns?: string[];
    DnsSearch?: string[];
    DnsOptions?: string[];
    ExtraHosts?: string[];
    CapDrop?: string[];
    StorageOpt?: Record<string, string>;
    Sysctls?: Record<string, string>;
    LogConfig?: { Type: string; Config: Record<string, string> };
  };
}

type Setter = (target: ParameterTarget, value: string) => void;

const pair = (value: string): [string, string] => {
  const at = value.indexOf('=');
  return at < 0 ? [value, ''] : [value.slice(0, at), value.slice(at + 1)];
};
const append =
  (name: 'Dns' | 'DnsSearch' | 'DnsOptions' | 'ExtraHosts' | 'CapDrop'): Setter =>
  ({ HostConfig }, value) => {
    HostConfig[name] = [...(HostConfig[name] ?? []), value];
  };
const put =
  (name: 'StorageOpt' | 'Sysctls'): Setter =>
  ({ HostConfig }, value) => {
    const [key, setting] = pair(value);
    HostConfig[name] = { ...HostConfig[name], [key]: setting };
  };

/** By the option's name without dashes. */
export const dockerParameters: Record<string, Setter> = {
  label: (target, value) => {
    const [key, setting] = pair(value);
    target.Labels[key] = setting;
  },
  hostname: (target, value) => {
    target.Hostname = value;
  },
  domainname: (target, value) => {
    target.Domainname = value;
  },
  'mac-address': (target, value) => {
    target.MacAddress = value;
  },
  dns: append('Dns'),
  'dns-search': append('DnsSearch'),
  'dns-option': append('DnsOptions'),
  'add-host': append('ExtraHosts'),
  'cap-drop': append('CapDrop'),
  'storage-opt': put('StorageOpt'),
  // The engine refuses those that are not of the container's own namespaces.
  sysctl: put('Sysctls'),
};

/** Why a parameter cannot be honoured; undefined when it can. */
export function parameterProblem({ key }: DockerParameter): string | undefined {
  if (Object.hasOwn(dockerParameters, key)) return undefined;
  return `containerizer docker takes no parameter "${key}"; it knows ${Object.keys(dockerParameters).join(', ')}`;
}

export function applyParameters(target: ParameterTarget, parameters: readonly DockerParameter[]): void {
  for (const { key, value } of parameters) dockerParameters[key]?.(target, value);
}
