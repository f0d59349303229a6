import type { CrdVersion, CustomResourceDefinition } from '../builtin/crd/types.ts';
import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import { crdColumns } from '../table/crd-columns.ts';
import { buildAdmit } from './admit.ts';

/** As the genuine server lists them for custom resources; discovery shows this order. */
const verbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'] as const;

/** One definition per served version of a CRD. Names are those accepted, which may lack conflicting short names. */
export function customResourceDefinitions(
  crd: CustomResourceDefinition,
  names: { singular: string; listKind: string; shortNames: string[]; categories: string[] },
): ResourceDefinition[] {
  const storageVersion = crd.spec.versions.find(({ storage }) => storage)?.name ?? crd.spec.versions[0]!.name;
  return crd.spec.versions
    .filter(({ served }) => served)
    .map((version) => customResourceDefinition(crd, version, storageVersion, names));
}

/** The definition of the storage version, served or not: how the stored objects of a CRD are reached. */
export function storedDefinition(crd: CustomResourceDefinition): ResourceDefinition {
  const version = crd.spec.versions.find(({ storage }) => storage) ?? crd.spec.versions[0]!;
  const { kind, singular, listKind } = crd.spec.names;
  return customResourceDefinition(crd, version, version.name, {
    singular: singular ?? kind.toLowerCase(),
    listKind: listKind ?? `${kind}List`,
    shortNames: [],
    categories: [],
  });
}

function customResourceDefinition(
  { spec }: CustomResourceDefinition,
  version: CrdVersion,
  storageVersion: string,
  names: { singular: string; listKind: string; shortNames: string[]; categories: string[] },
): ResourceDefinition {
  const { group } = spec;
  const { plural, kind } = spec.names;
  const schema = version.schema?.openAPIV3Schema ?? { type: 'object' };
  const scale = version.subresources?.scale;
  return {
    group,
    version: version.name,
    plural,
    kind,
    ...names,
    namespaced: spec.scope === 'Namespaced',
    verbs,
    status: version.subresources?.status !== undefined,
    ...(scale && { scale }),
    selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath),
    columns: crdColumns(version.additionalPrinterColumns),
    schema,
    generation: true,
    storage: {
      key: `${group}/${plural}`,
      toStored: (object) => withApiVersion(object, `${group}/${storageVersion}`),
      fromStored: (object) => withApiVersion(object, `${group}/${version.name}`),
    },
    admit: buildAdmit({ group, version: version.name, plural, kind, schema }),
  };
}

/** Conversion strategy None: versions differ in apiVersion alone. */
function withApiVersion(object: KubernetesObject, apiVersion: string): KubernetesObject {
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}
