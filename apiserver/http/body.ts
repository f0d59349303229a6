import { isUtf8 } from 'node:buffer';
import { parseDocument } from 'yaml';
import { ApiError, badRequest } from './errors.ts';
import type { ApiRequest } from './exchange.ts';
import { LoopbackRequest } from './loopback.ts';
import { decodeProtobuf, protobufType } from './protobuf/decode.ts';

/** As the genuine server: larger objects belong elsewhere. */
export const maxBodyBytes = 3 * 1024 * 1024;

/** No document of any kind is nested this deep; recursion over the value is safe below it. */
const maxDepth = 500;

/** Reads the whole body. Rejects with 413 as soon as it is known to be too large. */
export function readBody(request: ApiRequest): Promise<Buffer> {
  if (request instanceof LoopbackRequest) {
    return request.body.length > maxBodyBytes ? Promise.reject(tooLarge()) : Promise.resolve(request.body);
  }
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) {
      reject(tooLarge());
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBodyBytes) {
        chunks.length = 0;
        reject(tooLarge());
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    request.on('error', (error) =>
      reject(badRequest('the request ended before its body was complete', { cause: error })),
    );
    request.on('close', () => {
      if (!request.complete) reject(badRequest('the request ended before its body was complete'));
    });
  });
}

function tooLarge(): ApiError {
  return new ApiError(
    'RequestEntityTooLarge',
    `Request entity too large: limit is ${maxBodyBytes} bytes; split the document or store the data elsewhere`,
  );
}

/** Turns a body into a value. Bad encoding, syntax and nesting are 400 with the place; other formats than JSON and YAML are 415. */
export function parseBody(body: Buffer, contentType: string | undefined): unknown {
  const type = mediaType(contentType);
  if (type === protobufType) return checked(decodeProtobuf(body));
  const isYaml = type === 'application/yaml' || type === 'text/yaml' || type === 'application/x-yaml';
  if (!isYaml && type !== 'application/json' && type !== '') {
    throw new ApiError(
      'UnsupportedMediaType',
      `the body of the request was in an unknown format (${type}) - accepted media types include: application/json, application/yaml`,
    );
  }
  return parseText(body, isYaml ? 'yaml' : 'json');
}

/** The body of a PATCH; what is neither JSON nor YAML stays as it is, for the patch types' own refusal. */
export function parsePatch(body: Buffer, type: string): unknown {
  if (type.endsWith('json')) return parseText(body, 'json');
  return type.endsWith('yaml') ? parseText(body, 'yaml') : body;
}

function parseText(body: Buffer, format: 'json' | 'yaml'): unknown {
  const text = decodeText(body);
  if (text.trim() === '') throw badRequest('the body of the request is empty');
  return checked(format === 'yaml' ? parseYaml(text) : parseJson(text));
}

function checked(value: unknown): unknown {
  checkNesting(value, 0);
  return value;
}

/** `application/json; charset=utf-8` without its parameters. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

export function decodeText(body: Buffer): string {
  if (!isUtf8(body)) throw badRequest(`the body is not valid UTF-8: ${placeOfBadByte(body)}`);
  const text = body.toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function placeOfBadByte(body: Buffer): string {
  let offset = 0;
  let line = 1;
  for (const character of body.toString('utf8')) {
    // The decoder puts U+FFFD in the place of bad bytes; it may also be there by right, as EF BF BD.
    if (character === '\ufffd' && body.readUIntBE(Math.min(offset, body.length - 3), 3) !== 0xefbfbd) break;
    offset += Buffer.byteLength(character);
    if (character === '\n') line += 1;
  }
  return `bad byte 0x${(body[offset] ?? 0).toString(16).padStart(2, '0')} at offset ${offset} (line ${line})`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badRequest(`the body is not valid JSON: ${(error as Error).message}`);
  }
}

function parseYaml(text: string): unknown {
  const document = parseDocument(text, { merge: true, prettyErrors: true });
  const problem = document.errors[0];
  if (problem) throw badRequest(`the body is not valid YAML: ${problem.message.split('\n')[0]}`);
  try {
    // Through JSON: dates and such have no place in the API, and aliases must not make shared objects.
    return JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: 100 })));
  } catch (error) {
    throw badRequest(`the body is not valid YAML: ${(error as Error).message}`);
  }
}

function checkNesting(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > maxDepth) throw badRequest(`the body is nested more than ${maxDepth} levels deep`);
  if (Array.isArray(value)) {
    for (const item of value) checkNesting(item, depth + 1);
    return;
  }
  for (const key in value) {
    // JSON.parse makes it a plain field, but the first copy would make it a prototype.
    if (key === '__proto__') throw badRequest('the field name "__proto__" is not allowed');
    checkNesting((value as Record<string, unknown>)[key], depth + 1);
  }
}
