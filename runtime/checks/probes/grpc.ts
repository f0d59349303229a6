/**
 * The standard health service of gRPC, grpc.health.v1.Health/Check, without TLS as in Kubernetes: SERVING is success. Both messages have one
 * field, so they are written and read by hand: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import { connect, constants, type IncomingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import { failure, type ProbeOutcome, success } from '../result.ts';
import type { CheckTarget } from '../target.ts';
import { withConnection } from './connect.ts';

/** HealthCheckResponse.ServingStatus. */
const servingStatus = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
/** An answer has 7 bytes; what is longer is none. */
const MAX_ANSWER = 4096;

export function probeGrpc(
  { port, service = '' }: { port: number; service?: string },
  target: CheckTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  return withConnection(target, port, signal, async (connection) => {
    try {
      return judged(await call(connection, port, frame(healthCheckRequest(service))), service);
    } catch (error) {
      return failure(`no gRPC answer from port ${port}: ${(error as Error).message}`);
    }
  });
}

interface Answer {
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
  body: Buffer;
}

function call(connection: Duplex, port: number, body: Buffer): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const authority = `127.0.0.1:${port}`;
  const session = connect(`http://${authority}`, {
    createConnection: () => connection,
    settings: { enablePush: false },
  });
  session.on('error', reject);
  session.once('close', () => reject(new Error('the connection was closed')));
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    'user-agent': 'tepui-check',
    te: 'trailers',
  });
  const answer: Answer = { headers: {}, trailers: {}, body: Buffer.alloc(0) };
  stream.on('error', reject);
  stream.once('response', (headers) => {
    answer.headers = headers;
  });
  stream.once('trailers', (trailers) => {
    answer.trailers = trailers;
  });
  stream.on('data', (chunk: Buffer) => {
    answer.body = Buffer.concat([answer.body, chunk]);
    if (answer.body.length > MAX_ANSWER) stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.once('close', () => resolve(answer));
  stream.end(body);
  return promise.finally(() => session.destroy());
}

function judged({ headers, trailers, body }: Answer, service: string): ProbeOutcome {
  if (headers[':status'] === undefined) return failure('the connection was closed without an answer');
  if (Number(headers[':status']) !== 200) return failure(`HTTP status ${headers[':status']} instead of a gRPC answer`);
  // An error comes in the headers when there is nothing else to say.
  const status = trailers['grpc-status'] ?? headers['grpc-status'];
  if (status !== '0') return failure(`gRPC status ${status ?? 'missing'}${reasonOf(trailers, headers)}`);
  const serving = parseHealthCheckResponse(body);
  if (serving === undefined) return failure('the answer is no grpc.health.v1.HealthCheckResponse');
  const describe = serving === 1 ? success : failure;
  return describe(`${service === '' ? 'the server' : `service ${service}`} is ${servingStatus[serving] ?? serving}`);
}

function reasonOf(...headers: IncomingHttpHeaders[]): string {
  const text = headers.map((each) => each['grpc-message']).find((each) => typeof each === 'string' && each !== '');
  return text === undefined ? '' : `: ${text}`;
}

/** message HealthCheckRequest { string service = 1; } */
export function healthCheckRequest(service: string): Buffer {
  const text = Buffer.from(service, 'utf8');
  if (text.length === 0) return text;
  return Buffer.concat([Buffer.from([(1 << 3) | 2, ...varint(text.length)]), text]);
}

/** A message on the wire: not compressed, length, bytes. */
export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** message HealthCheckResponse { ServingStatus status = 1; }. Undefined for what is no single uncompressed message of that kind. */
export function parseHealthCheckResponse(body: Buffer): number | undefined {
  if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) return undefined;
  const reader = { bytes: body.subarray(5), at: 0 };
  let status = 0;
  while (reader.at < reader.bytes.length) {
    const tag = readVarint(reader);
    if (tag === undefined) return undefined;
    const value = readField(reader, tag & 7);
    if (value === undefined) return undefined;
    if (tag === 1 << 3) status = value;
  }
  return status;
}

interface Reader {
  bytes: Buffer;
  at: number;
}

/** The value of a varint; 0 for fields of other types, which are skipped: a later version of the message may have them. */
function readField(reader: Reader, wireType: number): number | undefined {
  if (wireType === 0) return readVarint(reader);
  const length = wireType === 1 ? 8 : wireType === 5 ? 4 : wireType === 2 ? readVarint(reader) : undefined;
  if (length === undefined || reader.at + length > reader.bytes.length) return undefined;
  reader.at += length;
  return 0;
}

function readVarint(reader: Reader): number | undefined {
  let value = 0;
  for (let byte = 0; byte < 10; byte++) {
    const next = reader.bytes[reader.at++];
    if (next === undefined) return undefined;
    value += (next & 127) * 2 ** (7 * byte);
    if (next < 128) return value;
  }
  return undefined;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) | 128);
  }
}
