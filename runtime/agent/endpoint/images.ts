/**
 * The image store: `GET /images`, `DELETE /images?reference=REF`, `POST /images/prune`, and `POST /images/pull` with a JSON body {reference,
 * pullPolicy?, dockerConfig?}. A pull answers with lines of JSON while it goes on: `{"progress": ...}`, and in the end `{"image": ...}` or `{"error": ...}`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  CredentialsInvalid,
  ImageInUse,
  ImageNotPresent,
  ImagePullFailed,
  ImageReferenceInvalid,
  type Images,
  type PullPolicy,
  parseDockerConfig,
} from '../../images/index.ts';
import { BadQuery } from './logs.ts';
import type { ImagesRoute } from './routes.ts';

const MOST_BODY_BYTES = 1 << 20;
const POLICIES = ['Always', 'IfNotPresent', 'Never'];

/** Rejects with BadQuery; what the store refuses is answered. */
export async function serveImages(
  { action }: ImagesRoute,
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
  images: Images,
): Promise<void> {
  const { method } = request;
  const wanted = action === undefined ? ['GET', 'DELETE'] : ['POST'];
  if (!wanted.includes(method ?? '')) return send(response, 405, { message: `only ${wanted.join(' and ')}` });
  if (action === 'pull') return pull(request, response, images);
  try {
    if (action === 'prune') send(response, 200, await images.prune());
    else if (method === 'DELETE') send(response, 200, await images.remove(referenceIn(query.get('reference'))));
    else send(response, 200, { items: images.list() });
  } catch (error) {
    send(response, statusOf(error), { message: (error as Error).message });
  }
}

async function pull(request: IncomingMessage, response: ServerResponse, images: Images): Promise<void> {
  const { reference, pullPolicy, dockerConfig } = await readBody(request);
  const credentials = dockerConfig === undefined ? [] : [parseCredentials(dockerConfig)];
  // Whoever goes away does not wait any more.
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('the client went away')));
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const line = (value: unknown): void => void response.write(`${JSON.stringify(value)}\n`);
  try {
    const image = await images.pull({
      reference,
      ...(pullPolicy && { pullPolicy }),
      credentials,
      signal: gone.signal,
      onProgress: (progress) => line({ progress }),
    });
    line({ image });
  } catch (error) {
    const { name, message, retryable, notFound, unauthorized } = error as ImagePullFailed;
    line({ error: { name, message, ...(error instanceof ImagePullFailed && { retryable, notFound, unauthorized }) } });
  }
  response.end();
}

interface PullBody {
  reference: string;
  pullPolicy?: PullPolicy;
  dockerConfig?: string;
}

async function readBody(request: IncomingMessage): Promise<PullBody> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    length += (part as Buffer).length;
    if (length > MOST_BODY_BYTES) throw new BadQuery('the body has more than 1 MiB');
    parts.push(part as Buffer);
  }
  let body: Partial<Record<keyof PullBody, unknown>> | null;
  try {
    body = JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new BadQuery('the body is not JSON');
  }
  const { reference, pullPolicy, dockerConfig } = body ?? {};
  if (pullPolicy !== undefined && !POLICIES.includes(pullPolicy as string))
    throw new BadQuery(`pullPolicy: it is none of ${POLICIES.join(', ')}`);
  if (dockerConfig !== undefined && typeof dockerConfig !== 'string') throw new BadQuery('dockerConfig: it is no text');
  return {
    reference: referenceIn(reference),
    ...(pullPolicy !== undefined && { pullPolicy: pullPolicy as PullPolicy }),
    ...(dockerConfig !== undefined && { dockerConfig }),
  };
}

function parseCredentials(text: string) {
  try {
    return parseDockerConfig(text, 'dockerConfig');
  } catch (error) {
    if (error instanceof CredentialsInvalid) throw new BadQuery(error.message);
    throw error;
  }
}

function referenceIn(value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.length > 1024) throw new BadQuery('reference: it is missing');
  return value;
}

function statusOf(error: unknown): number {
  if (error instanceof BadQuery || error instanceof ImageReferenceInvalid) return 400;
  if (error instanceof ImageNotPresent) return 404;
  if (error instanceof ImageInUse) return 409;
  return 500;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
