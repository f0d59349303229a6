/** The agent's words in Volume.status. */
import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { Volume } from '../../../controllers/machinery/client/resources.ts';
import type { Volume as VolumeDocument, VolumeStatus } from '../../../crds/types.generated.ts';

/** null removes a field. */
export type StatusChange = { [K in keyof VolumeStatus]?: VolumeStatus[K] | null };

/** The resource version keeps us from overwriting what the controllers decided meanwhile. */
export function reportVolume(volume: VolumeDocument, client: ApiClient, status: StatusChange): Promise<VolumeDocument> {
  const { namespace, name, resourceVersion, generation } = volume.metadata;
  const state = status.state ?? volume.status?.state;
  const isReady = state === 'Available';
  const before = volume.status?.conditions?.find(({ type }) => type === 'Ready');
  const wanted = isReady ? 'True' : 'False';
  const ready = {
    type: 'Ready',
    status: wanted,
    reason: status.reason ?? state,
    message: status.message ?? (isReady ? 'the directory exists' : `the volume is ${state}`),
    lastTransitionTime: before?.status === wanted ? before.lastTransitionTime : new Date().toISOString(),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
  const others = (volume.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
  const patch = {
    metadata: { resourceVersion },
    status: { ...status, observedGeneration: generation, conditions: [...others, ready] },
  };
  return client.mergePatch(Volume, { namespace, name: name ?? '' }, patch, 'status');
}
