/** Where an agent keeps its data and its sockets when nobody says otherwise: those of the machine for root, those of the user for a user. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { rootlessState } from './state.ts';

/** For descriptions of options. */
export const DEFAULT_DATA_DIR_TEXT = '/var/lib/tepui; without root $XDG_DATA_HOME/tepui or ~/.local/share/tepui';

export function defaultDataDir(): string {
  if (!isUsers()) return '/var/lib/tepui';
  const home = rootlessState()?.home ?? homedir();
  return join(absolute(process.env.XDG_DATA_HOME) ?? join(home, '.local/share'), 'tepui');
}

/** Of the directories that do not outlive the boot. A user without $XDG_RUNTIME_DIR has the one that systemd and elogind make. */
export function defaultRuntimeRoot(): string {
  if (!isUsers()) return '/run/tepui';
  const uid = rootlessState()?.uid ?? process.geteuid?.();
  return join(absolute(process.env.XDG_RUNTIME_DIR) ?? `/run/user/${uid}`, 'tepui');
}

function isUsers(): boolean {
  return process.geteuid?.() !== 0 || rootlessState() !== undefined;
}

/** The XDG specification wants others to be ignored. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
