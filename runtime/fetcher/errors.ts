/** Why a file could not be fetched. The message names the file (without any password in its address) and the cause. */
export class FetchFailed extends Error {
  override name = 'FetchFailed';
  /** The address, without user name and password. */
  readonly uri: string;
  /** Nothing arrived for the stall timeout. */
  readonly stalled: boolean;

  constructor(uri: string, message: string, options: { cause?: unknown; stalled?: boolean } = {}) {
    // What a tool says may have names from an archive in it: nothing may steer the terminal of whoever reads it.
    super(
      `cannot fetch ${withoutCredentials(uri)}: ${message}`.replaceAll(/\p{Cc}+/gu, ' '),
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.uri = withoutCredentials(uri);
    this.stalled = options.stalled ?? false;
  }
}

/** For messages and logs: user name and password are left out, and so is the query, which often is a signature that grants access. */
export function withoutCredentials(uri: string): string {
  const url = URL.parse(uri);
  if (!url) return uri.replace(/^([a-z]+:\/\/)[^/@]*@/i, '$1').replace(/\?.*$/s, '?...');
  [url.username, url.password] = ['', ''];
  if (url.search !== '') url.search = '?...';
  return url.href;
}
