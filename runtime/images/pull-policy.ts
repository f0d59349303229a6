/** When an image is pulled although nobody said so. */
import type { PullPolicy } from './images.ts';
import type { ImageReference } from './reference.ts';

/**
 * Pure. Always for what may change under its name: tag `latest` (or none), and files on disk (which are cheap to look at); otherwise IfNotPresent.
 * Always asks for the manifest and transfers only what is missing.
 */
export function defaultPullPolicy(reference: ImageReference): PullPolicy {
  if (reference.kind !== 'registry') return 'Always';
  return reference.digest === undefined && (reference.tag ?? 'latest') === 'latest' ? 'Always' : 'IfNotPresent';
}
