/** Runs writes in the background, so many at a time; the scheduler plans on while they are under way. */
export interface WritePool {
  /** `work` must handle its own errors. */
  run(work: () => Promise<void>): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export function createWritePool(atATime: number): WritePool {
  const waiting: (() => Promise<void>)[] = [];
  let running = 0;
  let idle = Promise.withResolvers<void>();

  const next = async (): Promise<void> => {
    running += 1;
    for (let work = waiting.shift(); work; work = waiting.shift()) await work();
    running -= 1;
    if (running === 0) {
      idle.resolve();
      idle = Promise.withResolvers();
    }
  };

  return {
    run(work) {
      waiting.push(work);
      if (running < atATime) void next();
    },
    idle: () => (running === 0 ? Promise.resolve() : idle.promise),
  };
}
