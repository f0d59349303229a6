/** The container did not come to run; everything made for it was removed again. The message is one sentence, fit for the task's status. */
export class ContainerLaunchFailed extends Error {
  override name = 'ContainerLaunchFailed';
  readonly containerId: string;
  /** The caller asked for it. */
  readonly aborted: boolean;

  constructor(containerId: string, message: string, options: { cause?: unknown; aborted?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.containerId = containerId;
    this.aborted = options.aborted ?? false;
  }
}
