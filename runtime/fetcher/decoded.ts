import { FetchFailed } from './errors.ts';

/** A part of the path of an address, without percent-encoding. Throws FetchFailed. */
export function decoded(text: string, uri: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new FetchFailed(uri, 'its path is not percent-encoded correctly');
  }
}
