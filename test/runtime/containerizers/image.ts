/** Image layers made by hand: directories with a static busybox, as the image store unpacks them. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ImageRoot } from '../../../runtime/containerizers/containerizer.ts';
import { staticBusybox } from '../../setup/busybox.ts';

const busybox = staticBusybox();
/** Why there are no images here; undefined when there are. */
export const noImages = 'why' in busybox ? busybox.why : undefined;

export interface TestImage extends ImageRoot {
  /** A further layer on top, with these files: content by path; `null` makes a directory. */
  layer(files: Record<string, string | null>): string;
  remove(): void;
}

/** /bin with the usual commands and nothing else: no /proc, no /etc, no /tmp. Not below /tmp, which containers without an image do not see. */
export function busyboxImage(parent = '/var/lib'): TestImage {
  const directory = mkdtempSync(join(parent, 'tepui-image-'));
  const base = join(directory, 'base');
  let serial = 0;
  mkdirSync(join(base, 'bin'), { recursive: true });
  if ('path' in busybox) copyFileSync(busybox.path, join(base, 'bin/busybox'));
  for (const name of 'sh ls cat echo touch mkdir id stat mount umount find pwd sleep true env wc ln rm chown grep ps kill dd df head sort tr readlink test hostname mknod seq ping nc ipcs chmod cp mv cut dmesg su'.split(
    ' ',
  ))
    symlinkSync('busybox', join(base, 'bin', name));
  const image: TestImage = {
    reference: 'example/busybox:1',
    digest: `sha256:${'0'.repeat(64)}`,
    layers: [base],
    layer(files) {
      const path = join(directory, `layer${serial++}`);
      mkdirSync(path);
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(content === null ? join(path, name) : dirname(join(path, name)), { recursive: true });
        if (content !== null) writeFileSync(join(path, name), content);
      }
      image.layers = [path, ...image.layers];
      return path;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
  return image;
}
