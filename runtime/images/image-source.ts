/** Where an image comes from: a registry, or files on this machine. */
import type { Descriptor } from './descriptor.ts';

export interface ImageSource {
  /** The digest that the reference means now, asked for as cheaply as possible; undefined when only the manifest itself tells. */
  resolve(signal: AbortSignal): Promise<string | undefined>;
  /** The document that the reference means, or (`digest`) one that an index names. Verified when there is a digest. */
  manifest(digest: string | undefined, signal: AbortSignal): Promise<{ bytes: Buffer; digest: string }>;
  /** A configuration document or another small blob, verified. */
  smallBlob(descriptor: Descriptor, signal: AbortSignal): Promise<Buffer>;
  /** A layer. Rejects at the end when size or digest are not the descriptor's. */
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** How getting something from a source fails. */
export class SourceFailed extends Error {
  override name = 'SourceFailed';
  /** Worth another try in a moment. */
  readonly retryable: boolean;
  readonly notFound: boolean;
  readonly unauthorized: boolean;
  /** What the server asks to wait for before the next try. */
  readonly retryAfterMs: number | undefined;
  constructor(
    message: string,
    {
      retryable = false,
      notFound = false,
      unauthorized = false,
      retryAfterMs,
      ...options
    }: { retryable?: boolean; notFound?: boolean; unauthorized?: boolean; retryAfterMs?: number } & ErrorOptions = {},
  ) {
    super(message, options);
    this.retryable = retryable;
    this.notFound = notFound;
    this.unauthorized = unauthorized;
    this.retryAfterMs = retryAfterMs;
  }
}
