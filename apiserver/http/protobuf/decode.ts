import { ApiError, badRequest } from '../errors.ts';
import { messageOf, messages } from './messages.ts';
import { readFields, type WireField } from './wire.ts';

export const protobufType = 'application/vnd.kubernetes.protobuf';

/** What every such body begins with. */
const magic = Buffer.from('k8s\0');

type Fields = Record<string, unknown>;

/**
 * Turns a protobuf body into the object that the same client would have sent as JSON. kubectl 1.32 and newer writes built-in kinds in no other way.
 * Kinds without a known protobuf form are 415.
 */
export function decodeProtobuf(body: Buffer): unknown {
  if (!body.subarray(0, 4).equals(magic))
    throw badRequest('the body is not Kubernetes protobuf: it does not begin with "k8s"');
  try {
    const { typeMeta, raw } = decodeMessage(body.subarray(4), 'Unknown') as { typeMeta?: Fields; raw?: string };
    const apiVersion = String(typeMeta?.apiVersion ?? '');
    const kind = String(typeMeta?.kind ?? '');
    const message = messageOf(apiVersion, kind);
    if (message === undefined) {
      const text = `${apiVersion} ${kind} has no protobuf form here - accepted media types include: application/json, application/yaml`;
      throw new ApiError('UnsupportedMediaType', text);
    }
    return { apiVersion, kind, ...decodeMessage(Buffer.from(raw ?? '', 'base64'), message) };
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) {
      throw badRequest(`the body is not valid protobuf: ${error.message}`);
    }
    throw error;
  }
}

function decodeMessage(message: Buffer, name: string): Fields {
  const known = messages[name] ?? {};
  const object: Fields = {};
  for (const field of readFields(message)) {
    const [key, type] = known[field.number] ?? [];
    if (key === undefined || type === undefined) continue;
    if (type.startsWith('map<')) {
      object[key] ??= {};
      addMapEntry(object[key] as Fields, field, type.slice(4, -1));
    } else if (type.endsWith('[]')) {
      object[key] ??= [];
      (object[key] as unknown[]).push(decodeValue(field, type.slice(0, -2), true));
    } else {
      const value = decodeValue(field, type, type.endsWith('?'));
      if (value !== undefined) object[key] = value;
    }
  }
  return object;
}

/** Undefined for zero values that mean "absent". */
function decodeValue(field: WireField, type: string, keepZero: boolean): unknown {
  const bytes = field.bytes ?? Buffer.alloc(0);
  switch (type.replace('?', '')) {
    case 'string':
      return bytes.length === 0 && !keepZero ? undefined : bytes.toString();
    case 'int':
      return field.value === 0n && !keepZero ? undefined : Number(field.value);
    case 'bool':
      return field.value === 0n && !keepZero ? undefined : field.value !== 0n;
    case 'bytes':
      return bytes.toString('base64');
    case 'FieldsV1':
      return decodeFieldsV1(bytes);
    case 'time':
      return decodeTime(bytes, 0);
    case 'microTime':
      return decodeTime(bytes, 6);
    default:
      return decodeMessage(bytes, type);
  }
}

function addMapEntry(map: Fields, field: WireField, type: string): void {
  let key = '';
  let value: unknown = '';
  for (const part of readFields(field.bytes ?? Buffer.alloc(0))) {
    if (part.number === 1) key = part.bytes?.toString() ?? '';
    else if (part.number === 2) value = decodeValue(part, type, true);
  }
  // A plain assignment of `__proto__` would not make a field.
  Object.defineProperty(map, key, { value, enumerable: true, writable: true, configurable: true });
}

function decodeFieldsV1(message: Buffer): unknown {
  for (const { number, bytes } of readFields(message)) if (number === 1 && bytes) return JSON.parse(bytes.toString());
  return undefined;
}

/** An empty message is the zero time. */
function decodeTime(message: Buffer, digits: number): string | undefined {
  let seconds = 0;
  let nanos = 0;
  if (message.length === 0) return undefined;
  for (const { number, value } of readFields(message)) {
    if (number === 1) seconds = Number(value);
    else if (number === 2) nanos = Number(value);
  }
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return digits === 0 ? `${whole}Z` : `${whole}.${String(nanos).padStart(9, '0').slice(0, digits)}Z`;
}
