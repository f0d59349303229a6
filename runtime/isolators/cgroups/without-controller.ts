/** Why a controller that a container asks for is not there. */
import { rootlessState } from '../../rootless/state.ts';

export function withoutController(name: string): string {
  return rootlessState() === undefined
    ? `this agent's kernel has no ${name} controller`
    : `no ${name} controller is delegated to this agent`;
}
