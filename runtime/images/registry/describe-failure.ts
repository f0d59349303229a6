import { SourceFailed } from '../image-source.ts';

const CERTIFICATE_ERROR = /^(CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS_CERT|HOSTNAME_MISMATCH)/;

/** What went wrong, and what the operator can do about it. */
export function describeFailure(error: NodeJS.ErrnoException, { host, protocol }: URL): SourceFailed {
  const { code = '' } = error;
  if (CERTIFICATE_ERROR.test(code))
    return new SourceFailed(
      `the certificate of ${host} is not trusted (${error.message}); name its authority with caFile in registries.yaml`,
      { cause: error },
    );
  if (protocol === 'https:' && /wrong version number|packet length too long|http request/i.test(error.message))
    return new SourceFailed(
      `${host} does not speak TLS; if it is meant to be used without, mark it with plainHttp: true in registries.yaml`,
      { cause: error },
    );
  const why: Record<string, string> = {
    ENOTFOUND: 'its name is not known',
    EAI_AGAIN: 'its name cannot be looked up now',
    ECONNREFUSED: 'nothing listens there',
    ECONNRESET: 'it closed the connection',
    UND_ERR_SOCKET: 'it closed the connection',
    UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
    UND_ERR_BODY_TIMEOUT: 'the transfer stands still',
    UND_ERR_CONNECT_TIMEOUT: 'the connection was not made in time',
  };
  return new SourceFailed(`${host} cannot be reached: ${why[code] ?? error.message}`, {
    retryable: true,
    cause: error,
  });
}
