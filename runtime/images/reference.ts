/** Image references, read by Docker's rules. */
import { isAbsolute, normalize } from 'node:path';
import { ImageReferenceInvalid } from './errors.ts';

/** An image in a registry. */
export interface RegistryReference {
  kind: 'registry';
  /** `host[:port]`, lower case. */
  registry: string;
  repository: string;
  /** Absent only with a digest. */
  tag?: string;
  digest?: string;
}

/** An image in files on this machine. */
export interface FileReference {
  kind: 'oci' | 'oci-archive' | 'docker-archive';
  /** Absolute and normal. */
  path: string;
  /** Which of several images: the `org.opencontainers.image.ref.name` of a layout, `repository:tag` or `@index` of a docker archive. */
  name?: string;
}

export type ImageReference = RegistryReference | FileReference;

export const DEFAULT_REGISTRY = 'docker.io';

const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$|^sha512:[0-9a-f]{128}$/;

/**
 * Pure. The first part is a registry when it has a dot or a port or is `localhost`; otherwise the default registry is meant. One word on docker.io is
 * `library/WORD`; no tag and no digest means `latest`. Throws ImageReferenceInvalid.
 */
export function parseReference(text: string, defaultRegistry: string = DEFAULT_REGISTRY): ImageReference {
  const file = /^(oci|oci-archive|docker-archive):(.*)$/s.exec(text);
  // `oci:1.0` is also the repository `oci` with a tag: only a path makes it a place on disk.
  if (file && (file[2] as string).startsWith('/'))
    return parseFile(file[1] as FileReference['kind'], file[2] as string, text);
  if (file && file[1] !== 'oci') throw invalid(text, `${file[1]}: needs an absolute path`);

  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !DIGEST.test(digest)) throw invalid(text, `"${digest}" is no sha256 or sha512 digest`);
  let name = at < 0 ? text : text.slice(0, at);
  const colon = name.lastIndexOf(':');
  let tag: string | undefined;
  if (colon > name.lastIndexOf('/')) {
    tag = name.slice(colon + 1);
    name = name.slice(0, colon);
    if (!TAG.test(tag)) throw invalid(text, `"${tag}" is no tag`);
  }
  const { registry, repository } = splitRegistry(name, text, defaultRegistry);
  if (digest === undefined) tag ??= 'latest';
  return {
    kind: 'registry',
    registry,
    repository,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/** The reference in full: equal images have equal texts. */
export function formatReference(reference: ImageReference): string {
  if (reference.kind !== 'registry')
    return `${reference.kind}:${reference.path}${reference.name === undefined ? '' : `:${reference.name}`}`;
  const { registry, repository, tag, digest } = reference;
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function splitRegistry(name: string, text: string, defaultRegistry: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const named = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const registry = canonicalHost(named ? first : defaultRegistry);
  let repository = named ? name.slice(slash + 1) : name;
  if (named && !HOST.test(first)) throw invalid(text, `"${first}" is no host and port`);
  if (!REPOSITORY.test(repository))
    throw invalid(
      text,
      repository === ''
        ? 'it has no repository'
        : `"${repository}" is no repository name (lower-case letters and digits, with . _ - between them and / between parts)`,
    );
  if (/^[0-9a-f]{64}$/.test(repository)) throw invalid(text, 'an image id is no reference');
  if (registry === DEFAULT_REGISTRY && !repository.includes('/')) repository = `library/${repository}`;
  if (registry.length + repository.length > 255)
    throw invalid(text, 'registry and repository have more than 255 characters');
  return { registry, repository };
}

/** The names that Docker Hub goes by are one. */
function canonicalHost(host: string): string {
  const lower = host.toLowerCase();
  return lower === 'index.docker.io' || lower === 'registry-1.docker.io' ? DEFAULT_REGISTRY : lower;
}

function parseFile(kind: FileReference['kind'], rest: string, text: string): FileReference {
  const colon = rest.indexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const name = colon < 0 ? undefined : rest.slice(colon + 1);
  if (!isAbsolute(path)) throw invalid(text, 'the path is not absolute');
  if (path.includes('\0') || path.split('/').includes('..')) throw invalid(text, 'the path has a ".." part');
  if (name === '') throw invalid(text, 'the name after the path is empty');
  return { kind, path: normalize(path).replace(/(.)\/$/, '$1'), ...(name !== undefined && { name }) };
}

function invalid(text: string, problem: string): ImageReferenceInvalid {
  return new ImageReferenceInvalid(`"${text}" is no image reference: ${problem}`);
}
