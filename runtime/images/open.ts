/** Opens the image store of an agent. */
import type { Logger } from 'pino';
import { ImagePullFailed } from './errors.ts';
import type { Images } from './images.ts';

export interface OpenImages {
  /** `<data>/agent/images`. */
  directory: string;
  /** `<data>/agent/registries.yaml`; need not exist. */
  registriesFile: string;
  /** Share of the disk to keep free (Agent `spec.housekeeping.diskHeadroom`). */
  diskHeadroom: () => number;
  logger: Logger;
}

/** Removes what an earlier process left half done. */
export async function openImages(_options: OpenImages): Promise<Images> {
  const notYet = async (request: { reference: string }): Promise<never> => {
    throw new ImagePullFailed(request.reference, 'pulling is not implemented yet');
  };
  return {
    provision: notYet,
    pull: notYet,
    release: async () => {},
    retainHolders: async () => {},
    list: () => [],
    remove: async () => ({ removed: [], freedBytes: 0 }),
    prune: async () => ({ removed: [], freedBytes: 0 }),
    close: async () => {},
  };
}
