/** Persistent volumes on this machine's disks. */
export { type EnsureVolume, ensureVolumeDirectory } from './ensure.ts';
export { type VolumeIdentity, VolumeNameInvalid, volumePath } from './location.ts';
export { measureDirectory } from './measure.ts';
export { DiskNotMounted, emptyMountVolume, ensureMountVolume } from './mount-volume.ts';
export { removeVolumeDirectory } from './remove.ts';
export { removeTree } from './remove-tree.ts';
