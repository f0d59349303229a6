/** Where a persistent volume is on disk: `<root>/roles/<role, each "/" as a space>/<id>`, as in Mesos, so that operators recognise it. */

export interface VolumeIdentity {
  /** Directory of the disk that holds volumes, for example `<data>/agent/volumes`. */
  root: string;
  role: string;
  /** Unique per role and agent. */
  id: string;
}

/** The name is not one that can be a directory. */
export class VolumeNameInvalid extends Error {
  override name = 'VolumeNameInvalid';
}

/** Throws VolumeNameInvalid when role or id could lead anywhere else. */
export function volumePath(identity: VolumeIdentity): string {
  return [identity.root, ...volumeSegments(identity)].join('/');
}

/** The parts of the path below the root. */
export function volumeSegments({
  role,
  id,
}: Pick<VolumeIdentity, 'role' | 'id'>): [roles: string, role: string, id: string] {
  // Role names have no white space, so two roles never become the same directory.
  if (/\s/.test(role)) throw new VolumeNameInvalid(`role "${role}" must not contain white space`);
  return ['roles', checked('role', role.replaceAll('/', ' ')), checked('persistenceId', id)];
}

function checked(field: string, name: string): string {
  // Names that begin with a dot are ours: directories half made or half removed.
  if (name === '' || name.startsWith('.') || /[/\u0000-\u001f\u007f]/.test(name) || Buffer.byteLength(name) > 200) {
    throw new VolumeNameInvalid(`${field} "${name}" cannot be the name of a directory`);
  }
  return name;
}
