/** One Container Device Interface file (versions 0.3.0 to 0.8.0), read and checked. Errors name the place. */
import { parse } from 'yaml';

export interface CdiDeviceNode {
  path: string;
  hostPath?: string;
  type?: 'b' | 'c' | 'u';
  major?: number;
  minor?: number;
  fileMode?: number;
  permissions?: string;
  uid?: number;
  gid?: number;
}

export interface CdiMount {
  hostPath: string;
  containerPath: string;
  options: string[];
}

export interface CdiEdits {
  /** NAME=value. */
  env: string[];
  deviceNodes: CdiDeviceNode[];
  mounts: CdiMount[];
  additionalGids: number[];
  /** Names of what is asked for and not done here (`hooks.createContainer`, `intelRdt`): a device that needs it is refused. */
  refused: string[];
}

export interface CdiSpecification {
  /** vendor.com/class */
  kind: string;
  /** For every container that has at least one of the devices. */
  edits: CdiEdits;
  devices: { name: string; edits: CdiEdits }[];
}

export class CdiInvalid extends Error {
  override name = 'CdiInvalid';
}

const versions = ['0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0'];

type Fields = Record<string, unknown>;

/** JSON is YAML. Unknown fields are errors: what they ask for would be missing. Annotations are left out. */
export function parseCdiSpecification(text: string): CdiSpecification {
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    throw new CdiInvalid(`is neither JSON nor YAML: ${(cause as Error).message.split('\n')[0]}`, { cause });
  }
  const fields = object(document, 'the document', ['cdiVersion', 'kind', 'annotations', 'devices', 'containerEdits']);
  const version = textOf(fields.cdiVersion, 'cdiVersion');
  if (!versions.includes(version))
    throw new CdiInvalid(`cdiVersion: ${version} is not one of ${versions[0]} to ${versions.at(-1)}`);
  const kind = textOf(fields.kind, 'kind');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*$/.test(kind))
    throw new CdiInvalid(`kind: "${kind}" is not vendor/class`);
  const devices = list(fields.devices, 'devices').map((device, index) => parseDevice(device, `devices[${index}]`));
  const twice = devices.find(({ name }, index) => devices.findIndex((other) => other.name === name) < index);
  if (twice) throw new CdiInvalid(`devices: "${twice.name}" is there twice`);
  return { kind, edits: parseEdits(fields.containerEdits, 'containerEdits'), devices };
}

function parseDevice(value: unknown, path: string): CdiSpecification['devices'][number] {
  const fields = object(value, path, ['name', 'annotations', 'containerEdits']);
  const name = textOf(fields.name, `${path}.name`);
  if (!/^[A-Za-z0-9][A-Za-z0-9._:-]*$/.test(name)) throw new CdiInvalid(`${path}.name: "${name}" is malformed`);
  return { name, edits: parseEdits(fields.containerEdits, `${path}.containerEdits`) };
}

function parseEdits(value: unknown, path: string): CdiEdits {
  if (value === undefined || value === null)
    return { env: [], deviceNodes: [], mounts: [], additionalGids: [], refused: [] };
  const known = ['env', 'deviceNodes', 'hooks', 'mounts', 'intelRdt', 'additionalGids', 'additionalGIDs'];
  const fields = object(value, path, known);
  const hooks = list(fields.hooks, `${path}.hooks`).map((hook, index) =>
    textOf(object(hook, `${path}.hooks[${index}]`).hookName, `${path}.hooks[${index}].hookName`),
  );
  return {
    env: list(fields.env, `${path}.env`).map((entry, index) => environmentEntry(entry, `${path}.env[${index}]`)),
    deviceNodes: list(fields.deviceNodes, `${path}.deviceNodes`).map((node, index) =>
      parseNode(node, `${path}.deviceNodes[${index}]`),
    ),
    mounts: list(fields.mounts, `${path}.mounts`).map((mount, index) => parseMount(mount, `${path}.mounts[${index}]`)),
    additionalGids: list(fields.additionalGids ?? fields.additionalGIDs, `${path}.additionalGids`).map((gid) =>
      number(gid, `${path}.additionalGids`),
    ),
    refused: [...hooks.map((name) => `hooks.${name}`), ...(fields.intelRdt ? ['intelRdt'] : [])],
  };
}

function environmentEntry(value: unknown, path: string): string {
  const entry = textOf(value, path);
  if (!/^[^=\0]+=[^\0]*$/.test(entry)) throw new CdiInvalid(`${path}: is not NAME=value`);
  return entry;
}

function parseNode(value: unknown, path: string): CdiDeviceNode {
  const known = ['path', 'hostPath', 'type', 'major', 'minor', 'fileMode', 'permissions', 'uid', 'gid'];
  const fields = object(value, path, known);
  const optional = <T>(name: string, read: (value: unknown, path: string) => T) =>
    fields[name] === undefined ? {} : { [name]: read(fields[name], `${path}.${name}`) };
  return {
    path: absolute(fields.path, `${path}.path`),
    ...optional('hostPath', absolute),
    ...optional('type', (type, at) => oneOf(type, at, ['b', 'c', 'u'])),
    ...optional('major', number),
    ...optional('minor', number),
    ...optional('fileMode', number),
    ...optional('permissions', (permissions, at) => {
      const letters = textOf(permissions, at);
      if (!/^[rwm]{1,3}$/.test(letters)) throw new CdiInvalid(`${at}: "${letters}" has other letters than r, w, m`);
      return letters;
    }),
    ...optional('uid', number),
    ...optional('gid', number),
  };
}

function parseMount(value: unknown, path: string): CdiMount {
  const fields = object(value, path, ['hostPath', 'containerPath', 'type', 'options']);
  const type = fields.type === undefined || fields.type === '' ? 'bind' : textOf(fields.type, `${path}.type`);
  if (type !== 'bind' && type !== 'none') throw new CdiInvalid(`${path}.type: "${type}" is not bind`);
  return {
    hostPath: absolute(fields.hostPath, `${path}.hostPath`),
    containerPath: absolute(fields.containerPath, `${path}.containerPath`),
    options: list(fields.options, `${path}.options`).map((option) => textOf(option, `${path}.options`)),
  };
}

function object(value: unknown, path: string, known?: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CdiInvalid(`${path}: is not an object`);
  const unknown = known && Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new CdiInvalid(`${path}.${unknown}: is not known`);
  return value as Fields;
}

function list(value: unknown, path: string): unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new CdiInvalid(`${path}: is not a list`);
  return value;
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== 'string' || value === '') throw new CdiInvalid(`${path}: is missing or no text`);
  return value;
}

function number(value: unknown, path: string): number {
  if (!Number.isInteger(value) || (value as number) < 0) throw new CdiInvalid(`${path}: is no whole number`);
  return value as number;
}

function absolute(value: unknown, path: string): string {
  const found = textOf(value, path);
  if (!found.startsWith('/') || found.split('/').includes('..'))
    throw new CdiInvalid(`${path}: "${found}" is not absolute, or has ".." in it`);
  return found;
}

function oneOf<T extends string>(value: unknown, path: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new CdiInvalid(`${path}: is none of ${allowed.join(', ')}`);
  return found;
}
