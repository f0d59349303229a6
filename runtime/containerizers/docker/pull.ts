/** Has the engine pull an image into its own store. */
import { StringDecoder } from 'node:string_decoder';
import { type PullPolicy, parseReference, type RegistryCredentials } from '../../images/index.ts';
import { findCredentials, type RegistryCredential } from '../../images/registry/credentials.ts';
import { type Engine, isNotFound } from './engine.ts';

export interface EnginePull {
  reference: string;
  policy: PullPolicy;
  credentials: RegistryCredentials[];
  signal?: AbortSignal | undefined;
}

/** The image cannot be had. The message has the engine's reason. */
export class EnginePullFailed extends Error {
  override name = 'EnginePullFailed';
}

/** Resolves when the image is in the engine's store, to the name that the engine knows it by. */
export async function ensureImage(
  engine: Engine,
  { reference, policy, credentials, signal }: EnginePull,
): Promise<string> {
  if (policy !== 'Always' && (await isThere(engine, reference))) return reference;
  if (policy === 'Never')
    throw new EnginePullFailed(`image ${reference} is not in the Docker Engine's store, and imagePullPolicy is Never`);
  const parsed = parseReference(reference);
  if (parsed.kind !== 'registry') throw new EnginePullFailed(`image ${reference} is in no registry`);
  const { registry, repository, tag, digest } = parsed;
  const [first, ...others] = findCredentials(credentials, `${registry}/${repository}`);
  const query = `fromImage=${encodeURIComponent(`${registry}/${repository}`)}&tag=${encodeURIComponent(digest ?? tag ?? 'latest')}`;
  const pull = async (credential: RegistryCredential | undefined): Promise<void> => {
    const response = await engine.stream('POST', `/images/create?${query}`, {
      timeoutMs: 0,
      signal,
      ...(credential && { headers: { 'x-registry-auth': authHeader(credential, registry) } }),
    });
    // The engine answers 200 at once and tells a failure in the stream.
    for await (const line of linesOf(response)) {
      const { error } = JSON.parse(line) as { error?: string };
      if (error) throw new EnginePullFailed(`image ${reference}: ${error}`);
    }
  };
  for (let credential = first; ; ) {
    try {
      await pull(credential);
      return reference;
    } catch (error) {
      credential = others.shift();
      // What a registry refuses one login it may allow another.
      if (credential === undefined || !refusal.test((error as Error).message)) throw error;
    }
  }
}

/** Texts of engines and registries: there is no code. */
const refusal = /unauthorized|denied|authentication|no basic auth/i;

async function isThere(engine: Engine, reference: string): Promise<boolean> {
  try {
    await engine.call('GET', `/images/${encodeURIComponent(reference)}/json`);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function authHeader(
  { username, password, identityToken }: { username: string; password: string; identityToken?: string },
  serveraddress: string,
): string {
  const content = identityToken
    ? { identitytoken: identityToken, serveraddress }
    : { username, password, serveraddress };
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

async function* linesOf(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let pending = '';
  for await (const chunk of source) {
    const lines = (pending + decoder.write(chunk)).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  if (pending.trim() !== '') yield pending;
}
