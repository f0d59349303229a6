/**
 * The operator's registries, `<data>/agent/registries.yaml`:
 *
 *     defaultRegistry: docker.io          # what names without a registry mean
 *     credentialsFile: docker-config.json # a config.json; relative to this file
 *     excludedImages: [docker.io/library/busybox:1.36]  # never removed by garbage collection
 *     registries:
 *       - prefix: registry.example/team   # host[:port][/path]; the longest one counts
 *         location: other.example/team    # where it really is; default: the prefix
 *         plainHttp: false                # http instead of https
 *         caFile: /etc/ssl/registry.pem   # trusted besides the machine's own
 *         blocked: false                  # true: nothing is pulled from there
 *         mirrors:                        # tried in this order, before the location
 *           - { location: mirror.example/hub, plainHttp: false, caFile: mirror.pem }
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { DEFAULT_REGISTRY } from '../reference.ts';
import { parseDockerConfig, type RegistryCredentials } from './credentials.ts';

/** A place that speaks the OCI distribution API. */
export interface RegistryLocation {
  /** `host[:port][/path]`: takes the place of the prefix. */
  location: string;
  plainHttp: boolean;
  /** PEM. */
  ca?: string;
}

export interface RegistrySettings extends RegistryLocation {
  prefix: string;
  blocked: boolean;
  mirrors: RegistryLocation[];
}

export interface RegistriesSettings {
  defaultRegistry: string;
  credentials: RegistryCredentials[];
  excludedImages: string[];
  registries: RegistrySettings[];
}

/** The file cannot be followed; the message has its path and the field. */
export class RegistriesInvalid extends Error {
  override name = 'RegistriesInvalid';
}

const PLACE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?(?:\/[a-z0-9._-]+)*$/;

/** A missing file is an empty one. Throws RegistriesInvalid or CredentialsInvalid. */
export async function readRegistries(path: string): Promise<RegistriesSettings> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw new RegistriesInvalid(`${path} cannot be read: ${error.message}`, { cause: error });
  });
  return parseRegistries(text, path);
}

/** Reads the files it names too. Throws RegistriesInvalid or CredentialsInvalid. */
export async function parseRegistries(text: string, path: string): Promise<RegistriesSettings> {
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    throw new RegistriesInvalid(`${path} is no YAML: ${(cause as Error).message}`, { cause });
  }
  const file = createChecker(path);
  const top = file.object(value, '', ['defaultRegistry', 'credentialsFile', 'excludedImages', 'registries']);
  const credentialsFile = file.optionalText(top.credentialsFile, 'credentialsFile');
  const registries = file.list(top.registries, 'registries');
  return {
    defaultRegistry: file.optionalPlace(top.defaultRegistry, 'defaultRegistry') ?? DEFAULT_REGISTRY,
    credentials: credentialsFile === undefined ? [] : [await readCredentials(file, credentialsFile)],
    excludedImages: file
      .list(top.excludedImages, 'excludedImages')
      .map((item, at) => file.text(item, `excludedImages[${at}]`)),
    registries: await Promise.all(registries.map((item, at) => readRegistry(file, item, `registries[${at}]`))),
  };
}

/** The entry with the longest prefix; undefined when none is about this repository. `place` is `host[:port]/repository`. Pure. */
export function findRegistry(settings: RegistriesSettings, place: string): RegistrySettings | undefined {
  let best: RegistrySettings | undefined;
  for (const entry of settings.registries) {
    const isAbout = place === entry.prefix || place.startsWith(`${entry.prefix}/`);
    if (isAbout && (best === undefined || entry.prefix.length > best.prefix.length)) best = entry;
  }
  return best;
}

type Checker = ReturnType<typeof createChecker>;

async function readRegistry(file: Checker, item: unknown, where: string): Promise<RegistrySettings> {
  const entry = file.object(item, where, ['prefix', 'location', 'plainHttp', 'caFile', 'blocked', 'mirrors']);
  const prefix = file.optionalPlace(entry.prefix, `${where}.prefix`);
  if (prefix === undefined) throw file.wrong(`${where}.prefix`, 'it is missing');
  const mirrors = file.list(entry.mirrors, `${where}.mirrors`);
  return {
    prefix,
    blocked: file.flag(entry.blocked, `${where}.blocked`),
    ...(await readLocation(file, entry, where, prefix)),
    mirrors: await Promise.all(
      mirrors.map((mirror, at) => {
        const place = `${where}.mirrors[${at}]`;
        return readLocation(file, file.object(mirror, place, ['location', 'plainHttp', 'caFile']), place);
      }),
    ),
  };
}

async function readLocation(
  file: Checker,
  entry: Record<string, unknown>,
  where: string,
  defaultLocation?: string,
): Promise<RegistryLocation> {
  const location = file.optionalPlace(entry.location, `${where}.location`) ?? defaultLocation;
  if (location === undefined) throw file.wrong(`${where}.location`, 'it is missing');
  const caFile = file.optionalText(entry.caFile, `${where}.caFile`);
  const plainHttp = file.flag(entry.plainHttp, `${where}.plainHttp`);
  if (plainHttp && caFile !== undefined) throw file.wrong(`${where}.caFile`, 'it has no meaning with plainHttp');
  return { location, plainHttp, ...(caFile !== undefined && { ca: await readCa(file, caFile, `${where}.caFile`) }) };
}

async function readCa(file: Checker, caFile: string, where: string): Promise<string> {
  const text = await file.read(caFile, where);
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw file.wrong(where, `${caFile} holds no PEM certificate`);
  return text;
}

async function readCredentials(file: Checker, credentialsFile: string): Promise<RegistryCredentials> {
  return parseDockerConfig(await file.read(credentialsFile, 'credentialsFile'), file.resolve(credentialsFile));
}

function createChecker(path: string) {
  const wrong = (field: string, problem: string): RegistriesInvalid =>
    new RegistriesInvalid(`${path}: ${field === '' ? '' : `${field}: `}${problem}`);
  const text = (value: unknown, field: string): string => {
    if (typeof value !== 'string' || value === '') throw wrong(field, 'it is no text');
    return value;
  };
  return {
    wrong,
    text,
    object(value: unknown, field: string, known: string[]): Record<string, unknown> {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(field, 'it is no map');
      for (const key of Object.keys(value))
        if (!known.includes(key))
          throw wrong(field === '' ? key : `${field}.${key}`, `there is no such field; known are ${known.join(', ')}`);
      return value as Record<string, unknown>;
    },
    list(value: unknown, field: string): unknown[] {
      if (value === undefined || value === null) return [];
      if (!Array.isArray(value)) throw wrong(field, 'it is no list');
      return value;
    },
    flag(value: unknown, field: string): boolean {
      if (value !== undefined && typeof value !== 'boolean') throw wrong(field, 'it is neither true nor false');
      return value ?? false;
    },
    optionalText: (value: unknown, field: string) => (value === undefined ? undefined : text(value, field)),
    optionalPlace(value: unknown, field: string): string | undefined {
      if (value === undefined) return undefined;
      const place = text(value, field);
      if (!PLACE.test(place)) throw wrong(field, `"${place}" is no host[:port][/path]`);
      const slash = place.indexOf('/');
      return slash < 0 ? place.toLowerCase() : place.slice(0, slash).toLowerCase() + place.slice(slash);
    },
    resolve: (name: string) => resolve(dirname(path), name),
    async read(name: string, field: string): Promise<string> {
      try {
        return await readFile(resolve(dirname(path), name), 'utf8');
      } catch (cause) {
        throw wrong(field, `it cannot be read: ${(cause as Error).message}`);
      }
    },
  };
}
