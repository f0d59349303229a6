/** A directory on a file system with project quota, for tests that need the real thing. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildLauncher } from '../../runtime/launcher/build.ts';

export interface QuotaPlace {
  directory: string;
  remove(): void;
}

/** A new XFS in a file, with project quota. A text says why there is none. */
export async function xfsQuotaPlace(): Promise<QuotaPlace | string> {
  if (process.getuid?.() !== 0) return 'project quota needs root';
  const launcher = await buildLauncher();
  const base = mkdtempSync(join(existsSync('/mnt/data') ? '/mnt/data' : tmpdir(), 'tepui-xfs-'));
  // Tests write as other users too.
  chmodSync(base, 0o755);
  const directory = mkdtempSync(join(base, 'mount-'));
  try {
    // Newer mkfs.xfs refuses less.
    execFileSync('truncate', ['-s', '320M', join(base, 'image')]);
    execFileSync('mkfs.xfs', ['-q', join(base, 'image')], { stdio: 'pipe' });
    execFileSync('mount', ['-o', 'loop,pquota', join(base, 'image'), directory], { stdio: 'pipe' });
  } catch {
    rmSync(base, { recursive: true, force: true });
    return 'there is no mkfs.xfs here, or this kernel has no project quota for XFS';
  }
  const remove = () => {
    execFileSync('umount', [directory]);
    rmSync(base, { recursive: true, force: true });
  };
  if (execFileSync(launcher, ['quota', 'probe', directory], { encoding: 'utf8' }).includes('true'))
    return { directory, remove };
  remove();
  return 'this kernel has no project quota for XFS';
}

/** Where the kernel may have one: the disk of the virtual machine, else a new ext4 in a file. A text says why there is none. */
export async function quotaPlace(): Promise<QuotaPlace | string> {
  if (process.getuid?.() !== 0) return 'project quota needs root';
  const launcher = await buildLauncher();
  const hasQuota = (directory: string) =>
    execFileSync(launcher, ['quota', 'probe', directory], { encoding: 'utf8' }).includes('true');
  if (existsSync('/mnt/data') && hasQuota('/mnt/data')) {
    const directory = mkdtempSync('/mnt/data/tepui-quota-');
    return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
  }
  const base = mkdtempSync(join(tmpdir(), 'tepui-quota-'));
  const image = join(base, 'image');
  // Tests write as other users too.
  chmodSync(base, 0o755);
  const directory = mkdtempSync(join(base, 'mount-'));
  const remove = () => rmSync(base, { recursive: true, force: true });
  try {
    execFileSync('truncate', ['-s', '256M', image]);
    execFileSync('mkfs.ext4', ['-q', '-F', '-O', 'quota,project', '-E', 'quotatype=prjquota', image], {
      stdio: 'pipe',
    });
    execFileSync('mount', ['-o', 'loop,prjquota', image, directory], { stdio: 'pipe' });
  } catch {
    remove();
    return 'this kernel has no project quota for ext4';
  }
  if (hasQuota(directory)) {
    return {
      directory,
      remove() {
        execFileSync('umount', [directory]);
        remove();
      },
    };
  }
  execFileSync('umount', [directory]);
  remove();
  return 'this kernel has no project quota for ext4';
}
