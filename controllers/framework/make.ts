/** Makes the documents of a Framework: Tasks and Volumes with names that follow from what is known, so that making one twice is an error. */
import type { Framework, OwnerReference, Task, TaskVolume, Volume } from '../../crds/types.generated.ts';
import {
  ACCOUNTING_FINALIZER,
  FRAMEWORK_LABEL,
  INSTANCE_LABEL,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  REVISION_LABEL,
  TASK_INDEX_LABEL,
} from './names.ts';

export interface TaskIdentity {
  name: string;
  index: number;
  revision: string;
}

/** The Task of this index; its end is accounted for if the Framework is a Job. */
export function makeTask(framework: Framework, { name, index, revision }: TaskIdentity): Task {
  const { metadata, spec } = framework;
  const template = spec.template!;
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Task',
    metadata: {
      namespace: metadata.namespace,
      name,
      labels: { ...template.metadata?.labels, ...ownLabels(framework, index), [REVISION_LABEL]: revision },
      ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ...(spec.type === 'Job' ? { finalizers: [ACCOUNTING_FINALIZER] } : {}),
      ownerReferences: [ownedBy(framework)],
    },
    spec: {
      ...template.spec,
      ...taskVolumes(framework, index),
      role: spec.role ?? '*',
      frameworkName: metadata.name,
      index,
    },
  };
}

/**
 * The Volumes of this index. They have no owner: data is deleted only by deleting the Volume itself, so they outlive their Framework, and a
 * Framework of the same name finds them again.
 */
export function makeVolumes(framework: Framework, index: number): Volume[] {
  return (framework.spec.volumeTemplates ?? []).map(({ name, spec }) => ({
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Volume',
    metadata: {
      namespace: framework.metadata.namespace,
      name: volumeName(framework, name, index),
      labels: ownLabels(framework, index),
    },
    spec,
  }));
}

function taskVolumes(framework: Framework, index: number): { volumes?: TaskVolume[] } {
  const declared = framework.spec.template?.spec.volumes ?? [];
  const own = (framework.spec.volumeTemplates ?? []).map(({ name }) => ({
    name,
    volume: { volumeName: volumeName(framework, name, index) },
  }));
  const volumes = [...declared.filter(({ name }) => !own.some((volume) => volume.name === name)), ...own];
  return volumes.length === 0 ? {} : { volumes };
}

function volumeName(framework: Framework, template: string, index: number): string {
  return `${template}-${framework.metadata.name}-${index}`;
}

function ownLabels(framework: Framework, index: number): Record<string, string> {
  const name = framework.metadata.name ?? '';
  return {
    [MANAGED_BY_LABEL]: MANAGED_BY,
    [INSTANCE_LABEL]: name,
    [FRAMEWORK_LABEL]: name,
    [TASK_INDEX_LABEL]: String(index),
  };
}

function ownedBy(framework: Framework): OwnerReference {
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Framework',
    name: framework.metadata.name ?? '',
    uid: framework.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}
