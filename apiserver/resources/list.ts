import { ApiError, badRequest } from '../http/errors.ts';
import type { Store } from '../store/store.ts';
import type { Selection } from '../watch/selection.ts';
import { decodePosition, listPage, type Page } from '../watch/snapshot.ts';

export interface ListQuery {
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: string;
}

/**
 * Reads a list or one page of it.
 * No resourceVersion (or 0, or NotOlderThan): the newest state. Exact: the state of that revision. A page continues in the state of the first page; 410 when
 * that has been compacted away.
 */
export function listObjects(store: Store, selection: Selection, query: ListQuery): Page {
  const limit = query.limit ?? 0;
  if (query.continue) {
    if (query.resourceVersion && query.resourceVersion !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const { revision, path } = decodePosition(query.continue);
    return listPage(store, selection, { revision, after: path, limit });
  }
  const exact = exactRevision(store, query);
  return listPage(store, selection, { limit, ...(exact !== undefined && { revision: exact }) });
}

/** The revision whose state is wanted; undefined for the newest. */
function exactRevision(store: Store, query: ListQuery): number | undefined {
  const { resourceVersion, resourceVersionMatch } = query;
  if (!resourceVersion) {
    if (resourceVersionMatch) {
      throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided');
    }
    return undefined;
  }
  const revision = parseRevision(resourceVersion);
  if (resourceVersionMatch && resourceVersionMatch !== 'Exact' && resourceVersionMatch !== 'NotOlderThan') {
    throw badRequest(
      `resourceVersionMatch: Unsupported value: "${resourceVersionMatch}": supported values: "Exact", "NotOlderThan"`,
    );
  }
  if (resourceVersionMatch === 'Exact' && revision === 0) {
    throw badRequest('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"');
  }
  refuseFuture(store, revision);
  // Without a match a page of an older state is meant, as clients before resourceVersionMatch existed relied on.
  const exact = resourceVersionMatch === 'Exact' || (!resourceVersionMatch && query.limit);
  return exact && revision > 0 ? revision : undefined;
}

/** A client that has seen more than this server knows must not be shown less. */
export function refuseFuture(store: Store, revision: number): void {
  if (revision <= store.revision) return;
  throw new ApiError('Timeout', `Too large resource version: ${revision}, current: ${store.revision}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
    retryAfterSeconds: 1,
  });
}

export function parseRevision(text: string): number {
  const revision = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(revision)) {
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: must be a version that this server has given`,
    );
  }
  return revision;
}
