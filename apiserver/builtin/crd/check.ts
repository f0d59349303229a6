import type { FieldCause } from '../../http/errors.ts';
import { dns1035Problem, subdomainProblem } from '../../selectors/label-syntax.ts';
import { forbiddenField, invalidValue, notSupported, required } from './causes.ts';
import { columnCauses, scaleCauses, selectableFieldCauses } from './paths.ts';
import { ruleCauses } from './rules.ts';
import { structuralCauses } from './structural.ts';
import { type CrdNames, type CustomResourceDefinition, isEstablished } from './types.ts';

/** Everything that is wrong with a CRD beyond the types of its fields, in the genuine server's words. `[]` if it can be served. */
export function crdCauses(crd: CustomResourceDefinition, existing?: CustomResourceDefinition): FieldCause[] {
  return [
    ...identityCauses(crd),
    ...versionCauses(crd),
    ...namesCauses(crd.spec.names),
    ...conversionCauses(crd),
    ...(existing ? immutabilityCauses(crd, existing) : []),
  ];
}

function identityCauses({ metadata, spec }: CustomResourceDefinition): FieldCause[] {
  const causes: FieldCause[] = [];
  if (metadata.name !== `${spec.names.plural}.${spec.group}`) {
    causes.push(invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (!spec.group) causes.push(required('spec.group'));
  else if (subdomainProblem(spec.group))
    causes.push(invalidValue('spec.group', spec.group, subdomainProblem(spec.group)!));
  else if (!spec.group.includes('.'))
    causes.push(invalidValue('spec.group', spec.group, 'should be a domain with at least one dot'));
  if (isProtected(spec.group ?? '') && !metadata.annotations?.['api-approved.kubernetes.io']) {
    causes.push(
      required(
        'metadata.annotations[api-approved.kubernetes.io]',
        'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ),
    );
  }
  if (!spec.scope) causes.push(required('spec.scope'));
  else if (!['Namespaced', 'Cluster'].includes(spec.scope)) {
    causes.push(notSupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']));
  }
  if (spec.preserveUnknownFields === true) {
    causes.push(
      invalidValue(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  }
  return causes;
}

/** Groups of the Kubernetes project itself. */
function isProtected(group: string): boolean {
  return /(^|\.)(k8s\.io|kubernetes\.io)$/.test(group);
}

function versionCauses({ spec }: CustomResourceDefinition): FieldCause[] {
  const { versions } = spec;
  if (versions.length === 0) return [required('spec.versions', 'must have at least one version')];
  const causes = versions.flatMap((version, index) => {
    const path = `spec.versions[${index}]`;
    const found: FieldCause[] = [];
    const problem = dns1035Problem(version.name);
    if (problem) found.push(invalidValue(`${path}.name`, version.name, problem));
    const schema = version.schema?.openAPIV3Schema;
    const schemaPath = `${path}.schema.openAPIV3Schema`;
    if (!schema) {
      found.push(required(schemaPath));
    } else {
      const structural = structuralCauses(schema, schemaPath);
      found.push(...structural, ...(structural.length === 0 ? ruleCauses(schema, schemaPath) : []));
    }
    found.push(
      ...scaleCauses(version.subresources?.scale, `${path}.subresources.scale`),
      ...columnCauses(version.additionalPrinterColumns, `${path}.additionalPrinterColumns`),
      ...selectableFieldCauses(version.selectableFields, schema, `${path}.selectableFields`),
    );
    return found;
  });
  const listed = versions.map(({ name }) => name);
  if (new Set(listed).size < listed.length)
    causes.push(invalidValue('spec.versions', listed, 'must contain unique version names'));
  if (versions.filter(({ storage }) => storage).length !== 1) {
    causes.push(invalidValue('spec.versions', listed, 'must have exactly one version marked as storage version'));
  }
  return causes;
}

function namesCauses(names: CrdNames): FieldCause[] {
  const causes: FieldCause[] = [];
  const check = (field: string, value: string | undefined, mixedCase: boolean): void => {
    if (!value) {
      causes.push(required(field));
      return;
    }
    const problem = dns1035Problem(mixedCase ? value.toLowerCase() : value);
    if (problem) {
      causes.push(
        invalidValue(field, value, mixedCase ? `may have mixed case, but should otherwise match: ${problem}` : problem),
      );
    }
  };
  check('spec.names.plural', names.plural, false);
  check('spec.names.singular', names.singular, false);
  check('spec.names.kind', names.kind, true);
  check('spec.names.listKind', names.listKind, true);
  if (names.kind && names.kind === names.listKind) {
    causes.push(invalidValue('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'));
  }
  (names.shortNames ?? []).forEach((name, index) => {
    check(`spec.names.shortNames[${index}]`, name, false);
  });
  (names.categories ?? []).forEach((name, index) => {
    check(`spec.names.categories[${index}]`, name, false);
  });
  return causes;
}

function conversionCauses({ spec }: CustomResourceDefinition): FieldCause[] {
  const strategy = spec.conversion?.strategy ?? 'None';
  if (strategy === 'None') return [];
  if (strategy !== 'Webhook') return [notSupported('spec.conversion.strategy', strategy, ['None', 'Webhook'])];
  return [
    forbiddenField(
      'spec.conversion.strategy',
      'this server does not call webhooks; only the strategy None is supported',
    ),
  ];
}

function immutabilityCauses(crd: CustomResourceDefinition, existing: CustomResourceDefinition): FieldCause[] {
  const causes: FieldCause[] = [];
  const immutable = (field: string, now: unknown, before: unknown): void => {
    if (now !== before) causes.push(invalidValue(field, now, 'field is immutable'));
  };
  immutable('spec.group', crd.spec.group, existing.spec.group);
  immutable('spec.names.plural', crd.spec.names.plural, existing.spec.names.plural);
  if (isEstablished(existing)) {
    immutable('spec.scope', crd.spec.scope, existing.spec.scope);
    immutable('spec.names.kind', crd.spec.names.kind, existing.spec.names.kind);
  }
  const declared = new Set(crd.spec.versions.map(({ name }) => name));
  (existing.status?.storedVersions ?? []).forEach((version, index) => {
    if (!declared.has(version)) {
      causes.push(
        invalidValue(
          `status.storedVersions[${index}]`,
          version,
          'missing from spec.versions; versions cannot be removed while objects may be stored in them',
        ),
      );
    }
  });
  return causes;
}
