/** The public face of `runtime/images`. */
export * from './errors.ts';
export { imageCommand } from './image-command.ts';
export type * from './images.ts';
export { type OpenImages, openImages } from './open.ts';
export { defaultPullPolicy } from './pull-policy.ts';
export { formatReference, type ImageReference, parseReference } from './reference.ts';
export {
  CredentialsInvalid,
  credentialsOfSecret,
  parseDockerConfig,
  type RegistryCredentials,
} from './registry/credentials.ts';
