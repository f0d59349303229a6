/** What can go wrong between us and the launcher. */

/** A container or an exec did not start. Nothing of it is left: no process, no mount, no exit record. */
export class LaunchFailed extends Error {
  override name = 'LaunchFailed';
  /** Index into the request's operations; undefined when it failed outside of them. */
  readonly opIndex: number | undefined;
  /** Name of that operation. */
  readonly op: string | undefined;
  /** The system call or phase: decode, validate, clone, mount, exec, ... */
  readonly step: string;
  /** 0 when no system call failed (validation). */
  readonly errno: number;

  constructor(fields: { opIndex?: number; op?: string; step: string; errno: number; message: string }) {
    super(fields.op === undefined ? fields.message : `operation ${fields.opIndex} (${fields.op}): ${fields.message}`);
    this.opIndex = fields.opIndex;
    this.op = fields.op;
    this.step = fields.step;
    this.errno = fields.errno;
  }
}

/** The resident launcher cannot be reached or started. Requests without an answer may or may not have been carried out. */
export class LauncherUnavailable extends Error {
  override name = 'LauncherUnavailable';
}
