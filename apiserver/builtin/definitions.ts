import type { ResourceDefinition } from '../resources/definition.ts';
import { configMapDefinition } from './config-map.ts';
import { crdDefinition } from './crd/definition.ts';
import { coreEventDefinition, eventDefinition } from './event.ts';
import { leaseDefinition } from './lease.ts';
import { namespaceDefinition } from './namespace.ts';
import { secretDefinition } from './secret.ts';
import { serviceAccountDefinition } from './service-account.ts';

/** The kinds that are there before any CRD. */
export const builtinDefinitions: readonly ResourceDefinition[] = [
  namespaceDefinition,
  configMapDefinition,
  coreEventDefinition,
  secretDefinition,
  serviceAccountDefinition,
  crdDefinition,
  leaseDefinition,
  eventDefinition,
];
