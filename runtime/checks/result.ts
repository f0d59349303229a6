/** What one attempt of a check found out, before anybody interprets it. */
export interface ProbeResult {
  /**
   * Success and Failure: the container answered, or could not. Timeout: it took longer than the check's timeout. Undone: the check could not be
   * carried out for a reason that is not the container's (the agent is out of descriptors, the container has just ended); it says nothing and
   * is not counted.
   */
  outcome: 'Success' | 'Failure' | 'Timeout' | 'Undone';
  /** What happened, in a sentence; for people. At most 512 characters. */
  message: string;
  /** From the start of the attempt to its outcome, in milliseconds. */
  latencyMs: number;
  /** Of a command; 128 + N when signal N ended it, 127 when it was not found and 126 when it may not be executed, as in a shell. */
  exitCode?: number;
  /** Of an HTTP answer, after redirects. */
  statusCode?: number;
  /** The start of an HTTP answer: at most 1 KiB of its body. */
  response?: { contentType: string; body: string };
}

/** A ProbeResult as a probe returns it: whoever runs the probe knows the clock. */
export type ProbeOutcome = Omit<ProbeResult, 'latencyMs'>;

const MAX_MESSAGE = 512;

export const success = (message: string, more: Partial<ProbeOutcome> = {}): ProbeOutcome => ({
  outcome: 'Success',
  message: shortened(message),
  ...more,
});
export const failure = (message: string, more: Partial<ProbeOutcome> = {}): ProbeOutcome => ({
  outcome: 'Failure',
  message: shortened(message),
  ...more,
});
export const undone = (message: string): ProbeOutcome => ({ outcome: 'Undone', message: shortened(message) });

/** Parts of it come from the container: nothing in it may steer the terminal of whoever reads it. */
function shortened(text: string): string {
  const message = text.replaceAll(/\p{Cc}+/gu, ' ');
  return message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE - 3).toWellFormed()}...`;
}
