import { entryKey, type ResourceContext, viewOf } from '../resources/context.ts';
import { createObject } from '../resources/create.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { deleteObject } from '../resources/delete.ts';
import { listObjects } from '../resources/list.ts';
import { checkObject } from '../resources/object-shape.ts';
import { applyPatchType, patchObject } from '../resources/patch.ts';
import { toScale, updateScale } from '../resources/scale.ts';
import { type ObjectRef, storageKeyOf } from '../resources/storage.ts';
import { updateObject } from '../resources/update.ts';
import { parseFieldSelector, selectedName } from '../selectors/fields.ts';
import { parseLabelSelector } from '../selectors/labels.ts';
import type { Entry } from '../store/entry.ts';
import type { IncludeObject } from '../table/table.ts';
import { encodeObject } from '../watch/representation.ts';
import type { Selection } from '../watch/selection.ts';
import { mediaType, parseBody, readBody } from './body.ts';
import { ApiError, notFound } from './errors.ts';
import { listAnswer } from './list-answer.ts';
import { negotiate, type ResponseForm, representationOf } from './negotiation.ts';
import { objectBodyOf, patchBodyOf } from './object-body.ts';
import { booleanOf, deleteOptionsOf, limitOf, writeOptionsOf } from './query.ts';
import type { ResourceRequest } from './resource-request.ts';
import { type Answer, jsonAnswer } from './respond.ts';

/** Answers everything about resources but watches. */
export async function answerResource(context: ResourceContext, request: ResourceRequest): Promise<Answer> {
  const form = negotiate(request.http.headers.accept);
  switch (request.verb) {
    case 'get':
      return get(context, request, form);
    case 'list':
      return list(context, request, form);
    case 'create':
      return create(context, request, form);
    case 'update':
      return update(context, request, form);
    case 'patch':
      return patch(context, request, form);
    case 'delete':
      return remove(context, request, form);
    case 'deletecollection':
      return removeCollection(context, request, form);
    case 'watch':
      throw new ApiError('MethodNotAllowed');
  }
}

/** What lists and watches of a request are about. */
export function selectionOf(request: ResourceRequest): Selection {
  const { route, query } = request;
  const labels = query.get('labelSelector');
  const fields = query.get('fieldSelector');
  const name = route.name ?? selectedName(fields ?? undefined);
  const fromStored = route.definition.storage?.fromStored;
  const byLabel = labels ? parseLabelSelector(labels) : undefined;
  const byField = fields ? parseFieldSelector(fields, route.definition) : undefined;
  const selection: Selection = { storage: storageKeyOf(route.definition) };
  if (route.namespace !== undefined) selection.namespace = route.namespace;
  if (name !== undefined) selection.name = name;
  if (byLabel || byField) {
    selection.matches = (object) =>
      (!byLabel || byLabel(object.metadata.labels)) && (!byField || byField(fromStored ? fromStored(object) : object));
  }
  return selection;
}

export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject');
  return value === 'None' || value === 'Object' ? value : 'Metadata';
}

function get(context: ResourceContext, request: ResourceRequest, form: ResponseForm): Answer {
  const { definition, subresource } = request.route;
  const ref = refOf(request);
  const entry = context.store.get(entryKey(definition, ref));
  if (entry === undefined) throw notFound(definition, ref.name);
  if (subresource === 'scale')
    return jsonAnswer(200, toScale(definition, viewOf(definition, entry)), { media: form.media });
  return objectAnswer(request, entry, form);
}

function list(context: ResourceContext, request: ResourceRequest, form: ResponseForm): Answer {
  const { query, route } = request;
  const text = (name: string) => query.get(name) ?? '';
  const page = listObjects(context.store, selectionOf(request), {
    limit: limitOf(query),
    continue: text('continue'),
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
  });
  const include = includeObjectOf(query);
  return listAnswer(route.definition, page, form, representationOf(route.definition, form, include), include);
}

async function create(context: ResourceContext, request: ResourceRequest, form: ResponseForm): Promise<Answer> {
  const { definition, namespace } = request.route;
  if (definition.namespaced && namespace === undefined) throw new ApiError('MethodNotAllowed');
  const { body, warnings: duplicates } = await objectBodyOf(request);
  if (definition.review) {
    const object = checkObject(definition, namespace, body);
    return jsonAnswer(201, definition.review(object, request.user), { media: form.media });
  }
  const options = writeOptionsOf(request.query, undefined);
  const { entry, warnings } = await createObject(context, definition, namespace, body, options);
  return { ...objectAnswer(request, entry, form), status: 201, warnings: [...duplicates, ...warnings] };
}

async function update(context: ResourceContext, request: ResourceRequest, form: ResponseForm): Promise<Answer> {
  const { definition, subresource } = request.route;
  const ref = refOf(request);
  const { body, warnings: duplicates } = await objectBodyOf(request);
  const options = writeOptionsOf(request.query, subresource, request.http.headers['user-agent']);
  if (subresource === 'scale') {
    const { entry } = await updateScale(context, definition, ref, body, options);
    return jsonAnswer(200, toScale(definition, viewOf(definition, entry)), { media: form.media });
  }
  // Only built-in kinds have strategic merge keys; they also take an update without a version.
  const requireResourceVersion = definition.strategicMergeKeys === undefined;
  const written = await updateObject(context, definition, ref, body, { ...options, requireResourceVersion });
  return { ...objectAnswer(request, written.entry, form), warnings: [...duplicates, ...written.warnings] };
}

async function patch(context: ResourceContext, request: ResourceRequest, form: ResponseForm): Promise<Answer> {
  const { definition, subresource } = request.route;
  const contentType = mediaType(request.http.headers['content-type']);
  const { body, warnings: duplicates } = await patchBodyOf(request);
  const written = await patchObject(context, definition, refOf(request), body, {
    // An apply must name its manager itself.
    ...writeOptionsOf(
      request.query,
      subresource,
      contentType === applyPatchType ? undefined : request.http.headers['user-agent'],
    ),
    contentType,
    force: booleanOf(request.query, 'force'),
  });
  if (subresource === 'scale') {
    return jsonAnswer(200, toScale(definition, viewOf(definition, written.entry)), { media: form.media });
  }
  const status = written.created ? 201 : 200;
  return { ...objectAnswer(request, written.entry, form), status, warnings: [...duplicates, ...written.warnings] };
}

async function remove(context: ResourceContext, request: ResourceRequest, form: ResponseForm): Promise<Answer> {
  const { definition } = request.route;
  const ref = refOf(request);
  const options = deleteOptionsOf(request.query, await optionalBodyOf(request));
  const { entry, gone } = await deleteObject(context, definition, ref, options);
  if (!gone) return objectAnswer(request, entry, form);
  const { name, uid } = entry.object.metadata;
  const details = { name, ...(definition.group && { group: definition.group }), kind: definition.plural, uid };
  return jsonAnswer(
    200,
    { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details },
    { media: form.media },
  );
}

async function removeCollection(
  context: ResourceContext,
  request: ResourceRequest,
  form: ResponseForm,
): Promise<Answer> {
  const { definition, namespace } = request.route;
  if (definition.namespaced && namespace === undefined) throw new ApiError('MethodNotAllowed');
  const options = deleteOptionsOf(request.query, await optionalBodyOf(request));
  const page = listObjects(context.store, selectionOf(request), { limit: limitOf(request.query) });
  // All are queued at once, so they share transactions.
  await Promise.all(page.entries.map((entry) => deleteIfThere(context, definition, entry, options)));
  const include = includeObjectOf(request.query);
  return listAnswer(definition, page, form, representationOf(definition, form, include), include);
}

async function deleteIfThere(
  context: ResourceContext,
  definition: ResourceDefinition,
  entry: Entry,
  options: Parameters<typeof deleteObject>[3],
): Promise<void> {
  try {
    await deleteObject(context, definition, { namespace: entry.namespace, name: entry.name }, options);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'NotFound')) throw error;
  }
}

function objectAnswer(request: ResourceRequest, entry: Entry, form: ResponseForm): Answer {
  const representation = representationOf(request.route.definition, form, includeObjectOf(request.query));
  return { status: 200, json: [encodeObject(entry, representation)], media: form.media };
}

function refOf({ route }: ResourceRequest): ObjectRef {
  return { name: route.name ?? '', ...(route.namespace !== undefined && { namespace: route.namespace }) };
}

async function optionalBodyOf(request: ResourceRequest): Promise<unknown> {
  const body = await readBody(request.http);
  return body.length === 0 ? undefined : parseBody(body, request.http.headers['content-type']);
}
