/** Failures of all parts of a pull as one kind of error for whoever wants the image. */
import { ManifestInvalid } from './descriptor.ts';
import { ImagePullFailed, ImageReferenceInvalid } from './errors.ts';
import { SourceFailed } from './image-source.ts';
import { LayerRefused } from './unpack/layer-entries.ts';
import { UnpackFailed } from './unpack/maker.ts';
import { TarInvalid } from './unpack/tar-header.ts';

/** The signal's reason when the work was given up. */
export function describePullFailure(name: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ImagePullFailed || error instanceof ImageReferenceInvalid) return error;
  if (error instanceof SourceFailed) {
    const { retryable, notFound, unauthorized } = error;
    return new ImagePullFailed(name, error.message, { retryable, notFound, unauthorized, cause: error });
  }
  if (error instanceof UnpackFailed)
    return new ImagePullFailed(name, error.message, { retryable: error.diskFull, cause: error });
  if (error instanceof LayerRefused)
    return new ImagePullFailed(name, `a layer is refused: ${error.message}`, { cause: error });
  if (error instanceof ManifestInvalid || error instanceof TarInvalid)
    return new ImagePullFailed(name, error.message, { cause: error });
  return new ImagePullFailed(name, (error as Error).message, { retryable: true, cause: error });
}
