/** An image store in a directory of its own, and images made with umoci. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Images, type OpenImages, openImages } from '../../../../runtime/images/index.ts';
import { buildLauncher } from '../../../../runtime/launcher/build.ts';

export interface ImageBed {
  directory: string;
  /** Where the store is. */
  store: string;
  registriesFile: string;
  /** The operator's file, as an object. */
  configure(settings: unknown): void;
  open(options?: Partial<OpenImages>): Promise<Images>;
  /** Makes `oci:<layout>:<name>` out of root file systems, one a layer: each function changes the same directory. */
  makeImage(name: string, layers: ((root: string) => void)[], config?: string[]): string;
  /** The layout directory that `makeImage` writes to. */
  layout: string;
  close(): Promise<void>;
}

export async function makeImageBed(): Promise<ImageBed> {
  const directory = mkdtempSync(join(tmpdir(), 'tepui-images-'));
  const opened = new Set<Images>();
  const layout = join(directory, 'layout');
  const registriesFile = join(directory, 'registries.yaml');
  const binary = await buildLauncher({ sanitize: process.env.TEPUI_SANITIZE === '1' });
  const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let hasLayout = false;
  let serial = 0;
  return {
    directory,
    store: join(directory, 'store'),
    layout,
    registriesFile,
    configure: (settings) => writeFileSync(registriesFile, JSON.stringify(settings)),
    async open(options = {}) {
      const images = await openImages({
        directory: join(directory, 'store'),
        registriesFile,
        binary,
        bootId: 'this-boot',
        diskHeadroom: () => 0,
        retryDelaysMs: [10, 20, 40, 80],
        logger: pino({ level: 'silent' }),
        ...options,
      });
      const close = images.close.bind(images);
      images.close = async () => {
        opened.delete(images);
        await close();
      };
      opened.add(images);
      return images;
    },
    makeImage(name, layers, config = []) {
      if (!hasLayout) umoci('init', '--layout', layout);
      hasLayout = true;
      const image = `${layout}:${name}`;
      umoci('new', '--image', image);
      const bundle = join(directory, `bundle-${++serial}`);
      umoci('unpack', '--image', image, bundle);
      for (const change of layers) {
        change(join(bundle, 'rootfs'));
        umoci('repack', '--refresh-bundle', '--image', image, bundle);
      }
      if (config.length > 0) umoci('config', '--image', image, ...config);
      rmSync(bundle, { recursive: true, force: true });
      return `oci:${image}`;
    },
    async close() {
      for (const images of [...opened]) await images.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Writes files below a root: `{'etc/passwd': 'text'}`. */
export function writeFiles(root: string, files: Record<string, string | Buffer>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}
