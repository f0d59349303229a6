import type { KubernetesObject, OpenApiSchema, ResourceDefinition } from '../../resources/definition.ts';
import type { AdditionalPrinterColumn } from '../../table/crd-columns.ts';

/** The fields of a CustomResourceDefinition that this server reads. */
export interface CrdNames {
  plural: string;
  singular?: string;
  kind: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
}

export interface CrdVersion {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  deprecationWarning?: string;
  schema?: { openAPIV3Schema?: OpenApiSchema };
  subresources?: {
    status?: object;
    scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  };
  additionalPrinterColumns?: AdditionalPrinterColumn[];
  selectableFields?: { jsonPath: string }[];
}

export interface CrdCondition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  lastTransitionTime: string;
}

export interface CrdStatus {
  conditions: CrdCondition[];
  acceptedNames: Partial<CrdNames>;
  storedVersions: string[];
}

export interface CustomResourceDefinition extends KubernetesObject {
  spec: {
    group: string;
    scope: 'Namespaced' | 'Cluster';
    names: CrdNames;
    versions: CrdVersion[];
    conversion?: { strategy: string };
    preserveUnknownFields?: boolean;
  };
  status?: Partial<CrdStatus>;
}

/** Held by every CRD: its objects are deleted before it is. The garbage collector removes it. */
export const crdCleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** Whether the CRD's objects are served. */
export function isEstablished(crd: CustomResourceDefinition): boolean {
  return (crd.status?.conditions ?? []).some(({ type, status }) => type === 'Established' && status === 'True');
}

export function isCrdDefinition(definition: Pick<ResourceDefinition, 'group' | 'plural'>): boolean {
  return definition.group === 'apiextensions.k8s.io' && definition.plural === 'customresourcedefinitions';
}
