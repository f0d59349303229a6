/** An image of the store as a container gets it. */
import { stackedLayers } from './assemble.ts';
import { MOST_USER_FILE_BYTES, selectImageUser } from './image-user.ts';
import type { ProvisionedImage } from './images.ts';
import { readInLayers } from './layered-files.ts';
import type { ImageRecord } from './store/image-table.ts';
import type { LayerStore } from './store/layer-store.ts';

/** `reference` is as the document has it. */
export function provisionedImage(reference: string, image: ImageRecord, layers: LayerStore): ProvisionedImage {
  const { digest, config } = image;
  // An opaque root hides what is below it; overlayfs itself does not look there.
  const last = image.stack.findIndex((id) => layers.get(id)?.opaque.includes(''));
  const stack = last < 0 ? image.stack : image.stack.slice(0, last + 1);
  return {
    reference,
    digest,
    layers: stack.map((id) => layers.path(id)),
    config,
    async lookupUser(text) {
      const stacked = stackedLayers(layers, stack);
      const [passwd, group] = await Promise.all(
        ['etc/passwd', 'etc/group'].map(async (path) => {
          const bytes = await readInLayers(stacked, path, MOST_USER_FILE_BYTES);
          return bytes?.toString('utf8') ?? '';
        }),
      );
      return selectImageUser(text ?? config.user ?? '', passwd!, group!);
    },
  };
}
