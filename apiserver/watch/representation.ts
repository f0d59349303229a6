import type { KubernetesObject } from '../resources/definition.ts';
import type { Entry } from '../store/entry.ts';
import type { SelectedEvent } from './selection.ts';

/** One form in which objects go out: as stored, converted to another version, as a Table or as metadata only. */
export interface Representation {
  /** Equal keys give equal bytes, so that watchers of one form share them. */
  key: string;
  /** Undefined: the stored bytes are the form. */
  convert?: (object: KubernetesObject) => unknown;
}

/** The object of an entry in one form, as JSON. */
export function encodeObject(entry: Entry, representation: Representation): Buffer {
  return encodeAs(entry.object, entry.json, representation);
}

function encodeAs(object: KubernetesObject, json: Buffer, { convert }: Representation): Buffer {
  if (convert === undefined) return json;
  const converted = convert(object);
  return converted === object ? json : Buffer.from(JSON.stringify(converted));
}

/**
 * Watch events as bytes, each made once for all watchers of one form. Lives for one transaction's fan-out: what slow watchers still hold stays
 * alive through them, the rest is freed.
 */
export class EncodedEvents {
  readonly #encoded = new Map<Entry, Map<string, Buffer>>();

  get(event: SelectedEvent, representation: Representation): Buffer {
    let forms = this.#encoded.get(event.entry);
    if (forms === undefined) {
      forms = new Map();
      this.#encoded.set(event.entry, forms);
    }
    const key = `${event.left ? 'LEFT' : event.type} ${representation.key}`;
    let encoded = forms.get(key);
    if (encoded === undefined) {
      encoded = encodeEvent(event, representation);
      forms.set(key, encoded);
    }
    return encoded;
  }
}

/** `{"type":"ADDED","object":{...}}` and a line feed. */
export function encodeEvent(event: SelectedEvent, representation: Representation): Buffer {
  return frame(
    event.type,
    event.left ? encodeLeft(event.entry, representation) : encodeObject(event.entry, representation),
  );
}

export function encodeBookmark(
  kind: { apiVersion: string; kind: string },
  revision: number,
  initialEnd: boolean,
): Buffer {
  const annotations = initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
  const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...annotations };
  return frame('BOOKMARK', Buffer.from(JSON.stringify({ kind: kind.kind, apiVersion: kind.apiVersion, metadata })));
}

export function encodeError(status: unknown): Buffer {
  return frame('ERROR', Buffer.from(JSON.stringify(status)));
}

/** The last matching state carries the revision of the change: a client that resumes from it must not go back. */
function encodeLeft(entry: Entry, representation: Representation): Buffer {
  const before = entry.previous?.object ?? entry.object;
  const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(entry.revision) } };
  return encodeAs(object, Buffer.from(JSON.stringify(object)), representation);
}

const tail = Buffer.from('}\n');

function frame(type: string, object: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, tail]);
}
