/** An image's configuration document: what containers follow, and the digests of its layers. */
import { isDigest, isObject, ManifestInvalid, parseObject } from './descriptor.ts';
import type { ImageConfig } from './images.ts';
import type { Platform } from './platform.ts';

export interface ImageDocument {
  config: ImageConfig;
  /** Of the layers' tars, the lowest first. */
  diffIds: string[];
}

/** Throws ManifestInvalid with the field, also when the image is for another kind of machine. */
export function parseImageDocument(bytes: Buffer, layers: number, platform: Platform): ImageDocument {
  const document = parseObject(bytes, 'the image configuration');
  const { rootfs, architecture, os } = document;
  if (!isObject(rootfs)) throw new ManifestInvalid('it is no container image: its configuration has no "rootfs"');
  const diffIds = rootfs.diff_ids ?? [];
  if (!Array.isArray(diffIds) || !diffIds.every(isDigest))
    throw new ManifestInvalid('the image configuration: rootfs.diff_ids: it is no list of digests');
  if (diffIds.length !== layers)
    throw new ManifestInvalid(`the image configuration names ${diffIds.length} layers, the manifest has ${layers}`);
  if (typeof os === 'string' && os !== '' && os !== platform.os)
    throw new ManifestInvalid(`it is made for ${os}, not linux`);
  if (typeof architecture === 'string' && architecture !== '' && architecture !== platform.architecture)
    throw new ManifestInvalid(`it is made for ${architecture}, and this machine is ${platform.architecture}`);
  return { config: configOf(document.config ?? {}), diffIds };
}

function configOf(value: unknown): ImageConfig {
  if (!isObject(value)) throw new ManifestInvalid('the image configuration: config: it is not an object');
  const entrypoint = strings(value.Entrypoint, 'config.Entrypoint');
  const cmd = strings(value.Cmd, 'config.Cmd');
  const env = strings(value.Env, 'config.Env');
  const workingDir = string(value.WorkingDir, 'config.WorkingDir');
  const user = string(value.User, 'config.User');
  const stopSignal = string(value.StopSignal, 'config.StopSignal');
  if (value.ExposedPorts !== undefined && value.ExposedPorts !== null && !isObject(value.ExposedPorts))
    throw new ManifestInvalid('the image configuration: config.ExposedPorts: it is not an object');
  const exposedPorts = Object.keys(value.ExposedPorts ?? {});
  if (workingDir !== undefined && (!workingDir.startsWith('/') || workingDir.split('/').includes('..')))
    throw new ManifestInvalid('the image configuration: config.WorkingDir: it is no absolute path');
  return {
    ...(entrypoint !== undefined && { entrypoint }),
    ...(cmd !== undefined && { cmd }),
    ...(env !== undefined && { env: env.filter((pair) => /^[^=]+=/.test(pair)) }),
    ...(workingDir !== undefined && { workingDir }),
    ...(user !== undefined && { user }),
    ...(stopSignal !== undefined && { stopSignal }),
    ...(exposedPorts.length > 0 && { exposedPorts }),
  };
}

function strings(value: unknown, field: string): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string' && !item.includes('\0')))
    throw new ManifestInvalid(`the image configuration: ${field}: it is no list of texts without NUL`);
  return value.length === 0 ? undefined : value;
}

function string(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string' || value.includes('\0'))
    throw new ManifestInvalid(`the image configuration: ${field}: it is no text without NUL`);
  return value;
}
