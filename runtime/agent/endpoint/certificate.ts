/** The endpoint's own certificate: it signs itself and is published in Agent.status.endpoint.caData, so that it needs no authority. */
import { join } from 'node:path';
import { type KeptCertificate, keptCertificate } from '../../../apiserver/auth/kept-certificate.ts';

/** Kept in the directory, so that an agent that restarts is still trusted, and does not load what makes certificates. */
export function endpointCertificate(
  directory: string,
  agentName: string,
  names: string[],
  now: Date,
): Promise<KeptCertificate> {
  return keptCertificate(
    join(directory, 'endpoint'),
    { commonName: `tepui-agent:${agentName}`, days: 3650, names },
    now,
  );
}
