/** The server cannot start. The message is one sentence for the user; `exitCode` is for the command that started it. */
export class StartupError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartupError';
    this.exitCode = exitCode;
  }
}

/** From sysexits.h, so that scripts can tell the causes apart. */
export const exitCodes = { data: 65, unavailable: 69, cannotCreate: 73, noPermission: 77 } as const;
