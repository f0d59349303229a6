/** The image that a container's root is made of: its pull, and what of its configuration the container follows. */
import { ApiStatusError } from '../../../controllers/machinery/client/errors.ts';
import { Secret } from '../../../controllers/machinery/client/resources.ts';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import {
  CredentialsInvalid,
  credentialsOfSecret,
  ImageUserUnknown,
  type ProvisionedImage,
  type RegistryCredentials,
} from '../../images/index.ts';
import { hasOneIdOnly, isMapped, mappedIds } from '../../rootless/ids.ts';
import { VolumeSourceMissing } from '../memory-volumes/projected-files.ts';
import type { TaskContext } from './context.ts';
import { EnvironmentSourceMissing } from './env-sources.ts';
import { type ResolvedUser, resolveUser, UserUnknown } from './user.ts';

/** A pull secret does not exist or holds no credentials. The message is fit for the user and holds no value. */
export class PullSecretInvalid extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PullSecretInvalid';
  }
}

/** Of spec.imagePullSecrets. Rejects with PullSecretInvalid, or with the client's error when the API is away (worth a retry). */
export async function readPullCredentials({ client }: TaskContext, task: Task): Promise<RegistryCredentials[]> {
  const namespace = task.metadata.namespace ?? '';
  return Promise.all(
    (task.spec.imagePullSecrets ?? []).map(async ({ name }, index) => {
      const field = `spec.imagePullSecrets[${index}]`;
      const secret = await client.get(Secret, { namespace, name }).catch((error: unknown) => {
        const isFinal = error instanceof ApiStatusError && (error.code === 403 || error.code === 404);
        throw isFinal
          ? new PullSecretInvalid(`${field}: the agent cannot read secret "${name}": ${error.message}`)
          : error;
      });
      if (secret === undefined) throw new PullSecretInvalid(`${field}: secret "${name}" does not exist`);
      try {
        return credentialsOfSecret(secret);
      } catch (error) {
        throw error instanceof CredentialsInvalid ? new PullSecretInvalid(`${field}: ${error.message}`) : error;
      }
    }),
  );
}

/** Whether what went wrong with inputs from outside will not be right at the next try. */
export function isFinalInputError(error: unknown): boolean {
  return [EnvironmentSourceMissing, VolumeSourceMissing, PullSecretInvalid].some((kind) => error instanceof kind);
}

/**
 * The document's user, the image's, or the agent's default, in this order; names are those of the image, or of the machine without one. Rejects
 * with UserUnknown or ImageUserUnknown.
 */
export async function containerUser(
  context: TaskContext,
  task: Task,
  container: TaskContainer,
  image: ProvisionedImage | undefined,
): Promise<ResolvedUser> {
  return withOwnIds(await wantedUser(context, task, container, image));
}

async function wantedUser(
  context: TaskContext,
  task: Task,
  container: TaskContainer,
  image: ProvisionedImage | undefined,
): Promise<ResolvedUser> {
  const { switchUser } = context.policy();
  // With one id there is nobody but root, who is the user that the agent runs for.
  const defaultUser = hasOneIdOnly() ? 'root' : context.policy().defaultUser;
  const wanted = switchUser ? (container.user ?? task.spec.user) : String(process.getuid!());
  if (image === undefined) return resolveUser(wanted ?? defaultUser);
  if (wanted !== undefined || image.config.user) return image.lookupUser(wanted ?? image.config.user);
  try {
    return await image.lookupUser(defaultUser);
  } catch (error) {
    if (!(error instanceof ImageUserUnknown)) throw error;
    // The operator's choice stands also where an image has no name for it.
    return { ...resolveUser(defaultUser), supplementalGids: [], home: '/' };
  }
}

/** Rejects a user with ids that an agent without root has not. */
function withOwnIds(user: ResolvedUser): ResolvedUser {
  const gid = [user.gid, ...user.supplementalGids].find((id) => !isMapped('gid', id));
  if (isMapped('uid', user.uid) && gid === undefined) return user;
  const which = isMapped('uid', user.uid) ? `group id ${gid}` : `user id ${user.uid}`;
  throw new UserUnknown(
    `user: ${user.name} has ${which}, and this agent without root has users ${mappedIds('uid')} and groups ${mappedIds('gid')} (/etc/subuid, /etc/subgid)`,
  );
}

/** Of a container whose image only the containerizer knows: a name in it stands for nobody here, and the sandbox is root's then. */
export async function userOfOwnStore(task: Task, container: TaskContainer): Promise<ResolvedUser> {
  const wanted = container.user ?? task.spec.user;
  if (wanted !== undefined && /^\d/.test(wanted)) return resolveUser(wanted);
  return { uid: 0, gid: 0, supplementalGids: [], name: wanted ?? 'root', home: '/' };
}

/** As status.containers[].image says it: the reference with the digest that it stood for. */
export function describeImage({ reference, digest }: ProvisionedImage): string {
  return reference.includes('@') ? reference : `${reference}@${digest}`;
}

/** `NAME=value` of the image's configuration as variables; what is no such pair is left out. */
export function imageEnvironment(image: ProvisionedImage | undefined): Record<string, string> {
  const pairs = (image?.config.env ?? []).flatMap((line): [string, string][] => {
    const split = line.indexOf('=');
    return split > 0 ? [[line.slice(0, split), line.slice(split + 1)]] : [];
  });
  return Object.fromEntries(pairs);
}
