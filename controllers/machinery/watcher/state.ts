/**
 * The life of one watch, as a pure state machine: `transition` says what an input leads to and which events the consumer gets, `nextStep`
 * says what has to be done now. No time, no network, no randomness of its own; run.ts carries the steps out.
 *
 *   empty ──page──▶ listing ──last page──▶ listed ──started──▶ watching
 *     ▲               │ 410                 ▲                    │ ended, failed, idle
 *     └───────────────┴─────────────────────┴────────────────────┤
 *     └───────────────────────── 410, no resource version ───────┘
 */
import type { ApiObject } from '../client/client.ts';

export type WatcherState =
  /** Nothing is known; the list must be read from its first page. */
  | { readonly kind: 'empty'; readonly failures: number; readonly unpaged: boolean }
  /** Some pages were read. */
  | { readonly kind: 'listing'; readonly failures: number; readonly continueToken: string }
  /** Everything up to this version is known, and no watch is open. */
  | { readonly kind: 'listed'; readonly failures: number; readonly resourceVersion: string }
  /** A watch is open from this version on. */
  | { readonly kind: 'watching'; readonly failures: number; readonly resourceVersion: string };

export type WatcherInput<T> =
  | { kind: 'page'; items: T[]; resourceVersion: string; continueToken?: string }
  /** `expired`: the continue token or resource version is no longer served (410). */
  | { kind: 'listFailed'; expired: boolean }
  | { kind: 'watchStarted' }
  | { kind: 'object'; type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { kind: 'bookmark'; resourceVersion: string | undefined }
  /** The server ended the watch, as it does after its timeout. */
  | { kind: 'watchEnded'; livedMs: number }
  /** HTTP error, ERROR event or broken connection. */
  | { kind: 'watchFailed'; expired: boolean; livedMs: number }
  /** The server should have ended the watch by now: the socket is dead. */
  | { kind: 'idleDeadline' };

export type WatcherEvent<T> =
  /** A new list begins; what came before stays valid until `initDone`. */
  | { kind: 'init' }
  | { kind: 'initApply'; object: T }
  /** The objects since `init` are all there are. */
  | { kind: 'initDone' }
  | { kind: 'apply'; object: T }
  | { kind: 'delete'; object: T };

export type WatcherStep =
  | { kind: 'list'; delayMs: number; continueToken?: string; unpaged: boolean }
  | { kind: 'watch'; delayMs: number; resourceVersion: string }
  /** A watch is open: wait for its next event. */
  | { kind: 'read' };

export const initialState: WatcherState = { kind: 'empty', failures: 0, unpaged: false };

/** A watch shorter than this counts as a failure however it ended, so a server that ends watches at once is not stormed. */
const HEALTHY_MS = 1_000;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 30_000;

export interface Transition<T> {
  state: WatcherState;
  events: WatcherEvent<T>[];
}

/** Total: an input that makes no sense in a state changes nothing. */
export function transition<T extends ApiObject>(state: WatcherState, input: WatcherInput<T>): Transition<T> {
  switch (state.kind) {
    case 'empty':
    case 'listing':
      if (input.kind === 'page') return pageArrived(state, input);
      if (input.kind === 'listFailed') return { state: listFailed(state, input.expired), events: [] };
      break;
    case 'listed':
      if (input.kind === 'watchStarted') return { state: { ...state, kind: 'watching' }, events: [] };
      break;
    case 'watching':
      return watching(state, input);
  }
  return { state, events: [] };
}

/** What to do in this state. `random` is in [0, 1). */
export function nextStep(state: WatcherState, random: number): WatcherStep {
  switch (state.kind) {
    case 'empty':
      return { kind: 'list', delayMs: backoffMs(state.failures, random), unpaged: state.unpaged };
    case 'listing':
      return {
        kind: 'list',
        delayMs: backoffMs(state.failures, random),
        continueToken: state.continueToken,
        unpaged: false,
      };
    case 'listed':
      return { kind: 'watch', delayMs: backoffMs(state.failures, random), resourceVersion: state.resourceVersion };
    case 'watching':
      return { kind: 'read' };
  }
}

/** 0 without failures, then 200 ms doubling to 30 s, spread by half of it in both directions. */
export function backoffMs(failures: number, random: number): number {
  if (failures === 0) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 20), MAX_DELAY_MS) * (0.5 + random);
}

function pageArrived<T>(
  state: Extract<WatcherState, { kind: 'empty' | 'listing' }>,
  page: Extract<WatcherInput<T>, { kind: 'page' }>,
): Transition<T> {
  const events: WatcherEvent<T>[] = state.kind === 'empty' ? [{ kind: 'init' }] : [];
  for (const object of page.items) events.push({ kind: 'initApply', object });
  if (page.continueToken) return { state: { kind: 'listing', failures: 0, continueToken: page.continueToken }, events };
  // Without a version there is nothing to watch from; a server that answers so will be asked again, slowly.
  if (!page.resourceVersion)
    return { state: { kind: 'empty', failures: state.failures + 1, unpaged: false }, events: [] };
  events.push({ kind: 'initDone' });
  // The failures stay counted until a watch lives: a list that works while its watch fails at once must still back off.
  return { state: { kind: 'listed', failures: state.failures, resourceVersion: page.resourceVersion }, events };
}

function listFailed(state: Extract<WatcherState, { kind: 'empty' | 'listing' }>, expired: boolean): WatcherState {
  const failures = state.failures + 1;
  if (!expired) return { ...state, failures };
  // Reading all pages takes longer than the server keeps a version: one large answer always succeeds.
  return { kind: 'empty', failures, unpaged: true };
}

function watching<T extends ApiObject>(
  state: Extract<WatcherState, { kind: 'watching' }>,
  input: WatcherInput<T>,
): Transition<T> {
  switch (input.kind) {
    case 'object': {
      const resourceVersion = input.object.metadata?.resourceVersion;
      if (!resourceVersion) return { state: relist(state.failures + 1), events: [] };
      const kind = input.type === 'DELETED' ? 'delete' : 'apply';
      return { state: { ...state, resourceVersion }, events: [{ kind, object: input.object }] };
    }
    case 'bookmark':
      return input.resourceVersion
        ? { state: { ...state, resourceVersion: input.resourceVersion }, events: [] }
        : { state, events: [] };
    case 'watchEnded':
      return { state: { ...state, kind: 'listed', failures: failuresAfter(state, input.livedMs, 0) }, events: [] };
    case 'watchFailed': {
      const failures = failuresAfter(state, input.livedMs, input.expired ? 0 : 1);
      return { state: input.expired ? relist(failures) : { ...state, kind: 'listed', failures }, events: [] };
    }
    case 'idleDeadline':
      // It was healthy for minutes: the first reconnect is not delayed.
      return { state: { ...state, kind: 'listed', failures: 0 }, events: [] };
    default:
      return { state, events: [] };
  }
}

function relist(failures: number): WatcherState {
  return { kind: 'empty', failures, unpaged: false };
}

function failuresAfter(state: WatcherState, livedMs: number, afterHealthy: number): number {
  return livedMs < HEALTHY_MS ? state.failures + 1 : afterHealthy;
}
