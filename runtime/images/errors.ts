/** How provisioning an image fails. Messages are whole sentences for `Task.status.message`. */

/** The text is no image reference. */
export class ImageReferenceInvalid extends Error {
  override name = 'ImageReferenceInvalid';
}

/** The image could not be brought here. */
export class ImagePullFailed extends Error {
  override name = 'ImagePullFailed';
  readonly reference: string;
  /** Worth another try later: the network, a busy registry, a full disk. */
  readonly retryable: boolean;
  /** The registry says that there is no such image. */
  readonly notFound: boolean;
  /** The registry refuses these credentials. Registries also answer so for images that do not exist. */
  readonly unauthorized: boolean;
  constructor(
    reference: string,
    problem: string,
    {
      retryable = false,
      notFound = false,
      unauthorized = false,
      ...options
    }: { retryable?: boolean; notFound?: boolean; unauthorized?: boolean } & ErrorOptions = {},
  ) {
    super(`image ${reference} cannot be pulled: ${problem}`, options);
    this.reference = reference;
    this.retryable = retryable;
    this.notFound = notFound;
    this.unauthorized = unauthorized;
  }
}

/** Not on this machine, and policy or command says not to pull it. */
export class ImageNotPresent extends Error {
  override name = 'ImageNotPresent';
}

/** Containers use it. */
export class ImageInUse extends Error {
  override name = 'ImageInUse';
}

/** The image's /etc/passwd or /etc/group does not have it. */
export class ImageUserUnknown extends Error {
  override name = 'ImageUserUnknown';
}

/** Neither the container nor its image says what to execute. */
export class ImageCommandMissing extends Error {
  override name = 'ImageCommandMissing';
}
