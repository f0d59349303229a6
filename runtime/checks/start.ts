/** Runs the checks of one container: carries out what the state machines ask for. */
import type { CheckStatus, TaskContainer } from '../../crds/types.generated.ts';
import { genericJudge } from './generic.ts';
import { healthJudge } from './health.ts';
import type { CheckReport, Judge } from './judge.ts';
import {
  beginCheck,
  type CheckEffect,
  type CheckEvent,
  type CheckMachine,
  type CheckState,
  stepCheck,
} from './machine.ts';
import { type CheckAction, type PortLookup, probe } from './probe.ts';
import { readinessJudge } from './readiness.ts';
import { genericTiming, healthTiming, readinessTiming, type Timing } from './settings.ts';
import type { CheckTarget } from './target.ts';

export interface ChecksOptions {
  /** Its healthCheck, readinessCheck and check are run. */
  container: Pick<TaskContainer, 'healthCheck' | 'readinessCheck' | 'check'>;
  target: CheckTarget;
  /** Ports that actions name. Default: there are none. */
  portNamed?: PortLookup;
  /** Called once for each report, in order, never from within `startChecks` itself. Must not throw. */
  onReport(report: CheckReport): void;
  /** An attempt that could not be carried out for a reason of this machine, and is not counted. For the log. */
  onUndone?(message: string): void;
  /** How long the container has been running, in milliseconds: delay and grace period count from the launch. Default 0: just launched. */
  runningForMs?: number;
  /** Of a container that was running under an earlier agent process: what that one reported. */
  previous?: { healthy?: boolean; ready?: boolean; checkStatus?: CheckStatus };
  /** Milliseconds of a clock that does not run backwards. Default: that of the process. */
  now?: () => number;
}

export interface RunningChecks {
  /** No further reports; attempts under way are ended, and have ended when the promise resolves. Idempotent. */
  stop(): Promise<void>;
  /** No attempts, for example while the container is frozen. An attempt under way is ended, and its result dropped. */
  pause(): void;
  /** The next attempts are made at once. */
  resume(): void;
}

export function startChecks(options: ChecksOptions): RunningChecks {
  const { container, previous } = options;
  const { healthCheck, readinessCheck, check } = container;
  const checks: RunningChecks[] = [];
  if (healthCheck)
    checks.push(runCheck(options, healthCheck, healthTiming(healthCheck), healthJudge(healthCheck, previous)));
  if (readinessCheck && !previous?.ready) {
    checks.push(runCheck(options, readinessCheck, readinessTiming(readinessCheck), readinessJudge(readinessCheck)));
  }
  if (check) checks.push(runCheck(options, check, genericTiming(check), genericJudge(check, previous)));
  return {
    stop: async () => void (await Promise.all(checks.map((each) => each.stop()))),
    pause: () => checks.forEach((each) => void each.pause()),
    resume: () => checks.forEach((each) => void each.resume()),
  };
}

const monotonic = (): number => performance.now();

function runCheck<Verdict>(
  {
    target,
    portNamed = () => undefined,
    onReport,
    onUndone,
    runningForMs = 0,
    previous,
    now = monotonic,
  }: ChecksOptions,
  action: CheckAction,
  timing: Timing,
  judge: Judge<Verdict>,
): RunningChecks {
  const begun = now();
  const machine: CheckMachine<Verdict> = { timing, judge, launchedMs: begun - runningForMs };
  let state: CheckState<Verdict>;
  let timer: NodeJS.Timeout | undefined;
  let current: { attempt: number; abort: AbortController } | undefined;
  /** All attempts so far have ended. */
  let quiet: Promise<unknown> = Promise.resolve();

  const handle = (event: CheckEvent): void => {
    const step = stepCheck(machine, state, event, now());
    state = step.state;
    if (state.phase.name === 'Paused' || state.phase.name === 'Ended') clearTimeout(timer);
    step.effects.forEach(carryOut);
  };
  const carryOut = (effect: CheckEffect): void => {
    switch (effect.type) {
      case 'WakeAt':
        clearTimeout(timer);
        // Node's timers hold 31 bits; an early Tick asks again.
        timer = setTimeout(() => handle({ type: 'Tick' }), clamp(Math.ceil(effect.timeMs - now()), 0, 2 ** 31 - 1));
        timer.unref();
        return;
      case 'Probe':
        attempt(effect.attempt);
        return;
      case 'Cancel':
        if (current?.attempt === effect.attempt) current.abort.abort();
        return;
      case 'Report':
        onReport(effect.report);
    }
  };
  const attempt = (number: number): void => {
    const abort = new AbortController();
    current = { attempt: number, abort };
    const startedMs = now();
    // One at a time: what a timeout could not end at once is waited for, and the wait counts for the next attempt.
    quiet = quiet
      .then(() => (abort.signal.aborted ? undefined : probe(action, target, portNamed, abort.signal)))
      .then((outcome) => {
        if (!outcome || abort.signal.aborted) return;
        if (outcome.outcome === 'Undone') onUndone?.(outcome.message);
        handle({ type: 'Result', attempt: number, result: { ...outcome, latencyMs: now() - startedMs } });
      });
  };

  // What ran before this process began is not attempted all at once when it begins.
  const spreadMs = previous ? Math.random() * Math.min(timing.intervalMs, timing.delayMs || timing.intervalMs) : 0;
  const first = beginCheck(machine, begun + spreadMs);
  state = first.state;
  first.effects.forEach(carryOut);
  return {
    async stop() {
      handle({ type: 'Stop' });
      await quiet;
    },
    pause: () => handle({ type: 'Pause' }),
    resume: () => handle({ type: 'Resume' }),
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
