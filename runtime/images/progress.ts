/** Progress of pulls for everybody who waits for them. */
import type { ImageProgress } from './images.ts';

export interface ProgressBoard {
  /** Tells at once how far it is, if it runs already. Returns how to stop. */
  follow(key: string, onProgress: (progress: ImageProgress) => void): () => void;
  /** Changes of numbers alone are passed on at most every 100 ms. */
  report(key: string, progress: ImageProgress): void;
  /** Everything is here. */
  finish(key: string, item: string): void;
  /** The work has ended, well or not: who follows next, follows something new. */
  forget(key: string): void;
}

const LEAST_PAUSE_MS = 100;

export function createProgress(now: () => number = Date.now): ProgressBoard {
  const followers = new Map<string, Set<(progress: ImageProgress) => void>>();
  const last = new Map<string, { progress: ImageProgress; toldAt: number }>();

  function tell(key: string, progress: ImageProgress): void {
    last.set(key, { progress, toldAt: now() });
    for (const follower of followers.get(key) ?? []) follower(progress);
  }

  return {
    follow(key, onProgress) {
      const set = followers.get(key) ?? new Set();
      followers.set(key, set.add(onProgress));
      const current = last.get(key);
      if (current !== undefined) onProgress(current.progress);
      return () => {
        set.delete(onProgress);
        if (set.size === 0) followers.delete(key);
      };
    },
    report(key, progress) {
      const before = last.get(key);
      const isSamePhase = before?.progress.phase === progress.phase;
      if (isSamePhase && now() - before.toldAt < LEAST_PAUSE_MS) last.set(key, { ...before, progress });
      else tell(key, progress);
    },
    finish(key, item) {
      const totalBytes = last.get(key)?.progress.totalBytes ?? 0;
      tell(key, { phase: 'Complete', item, doneBytes: totalBytes, totalBytes });
    },
    forget: (key) => void last.delete(key),
  };
}
