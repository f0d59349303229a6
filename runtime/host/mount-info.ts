/** The format of /proc/PID/mountinfo, see proc_pid_mountinfo(5). Pure. */

export interface MountInfo {
  /** The part of its file system that is mounted: `/`, but for binds. */
  root: string;
  path: string;
  fsType: string;
  /** As the mount was asked for: `/dev/loop0`, `tepui`. */
  source: string;
  superOptions: string[];
}

/** In the kernel's order: outer mounts first. */
export function parseMountInfo(text: string): MountInfo[] {
  return text.split('\n').flatMap((line) => {
    // `id parent major:minor root path options [tags...] - fstype source superoptions`
    const [left, right] = line.split(' - ');
    const [, , , root, path] = (left ?? '').split(' ');
    const [fsType, source, superOptions] = (right ?? '').split(' ');
    if (root === undefined || path === undefined || fsType === undefined || source === undefined) return [];
    return [
      {
        root: decodeOctal(root),
        path: decodeOctal(path),
        fsType,
        source: decodeOctal(source),
        superOptions: superOptions?.split(',') ?? [],
      },
    ];
  });
}

/** The kernel writes white space and backslashes as `\040`. */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
