/** The part of pino that is used, so that a library test can pass something smaller. Messages are constant; variables go into the fields. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

/** All fields there are; a new one is added here first. */
export interface LogFields {
  controller?: string;
  controllerGroup?: string;
  controllerKind?: string;
  resource?: string;
  namespace?: string;
  name?: string;
  reconcileID?: string;
  task?: string;
  framework?: string;
  agent?: string;
  role?: string;
  volume?: string;
  containerID?: string;
  op?: string;
  reason?: string;
  state?: string;
  count?: number;
  address?: string;
  requeueAfterMs?: number;
  durationMs?: number;
  err?: unknown;
}

/** Logs nowhere. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
