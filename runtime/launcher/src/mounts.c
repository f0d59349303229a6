/*
 * Mounting: binds, new file systems, masks and attributes. Paths are resolved below the new root by openat2(RESOLVE_IN_ROOT), so that no symlink in
 * a file system we do not trust leads out. The new mount API is used where it saves walking a path twice.
 */
#include "launcher.h"
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { MS_PRIVATE_ = 1 << 18, MS_SLAVE_ = 1 << 19, MS_SHARED_ = 1 << 20 }; /* <sys/mount.h> clashes with <linux/mount.h> */
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif

static int open_below(const struct world *w, const char *path, int flags, uint64_t how_to) {
	struct open_how how = {.flags = (uint64_t)(O_PATH | O_CLOEXEC | flags), .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | how_to};
	for (int attempt = 0;; attempt++) { /* EAGAIN: something was renamed meanwhile */
		int fd = (int)RETRY(syscall(SYS_openat2, w->root, path, &how, sizeof how));
		if (fd >= 0 || errno != EAGAIN || attempt == 100) return fd;
	}
}

int resolve(const struct world *w, const char *path, int flags) {
	return open_below(w, path, flags, 0);
}

static int set_attributes(int fd, unsigned flags, uint64_t attributes, uint64_t propagation) {
	struct mount_attr attr = {.propagation = propagation};
	if (attributes & MF_RO) attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (attributes & MF_NOSUID) attr.attr_set |= MOUNT_ATTR_NOSUID;
	if (attributes & MF_NODEV) attr.attr_set |= MOUNT_ATTR_NODEV;
	if (attributes & MF_NOEXEC) attr.attr_set |= MOUNT_ATTR_NOEXEC;
	if (attributes & MF_NOATIME) {
		attr.attr_set |= MOUNT_ATTR_NOATIME;
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	}
	if (!attr.attr_set && !propagation) return 0;
	return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attr, sizeof attr);
}

/* The files of a tree that is not mounted yet belong to the ids of the container's user namespace. On the disk nothing changes. */
int map_ids(struct world *w, int tree, bool recursive, const char *name) {
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)w->child->user_fd};
	if (w->child->user_fd < 0) return 0;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) == 0) return 0;
	return fail(&w->failure, "idmap", "the file system of %s cannot map user ids", name);
}

int attach(int tree, int target) {
	return (int)syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int clone_tree(int fd, const char *path, bool recursive) {
	return (int)syscall(SYS_open_tree, fd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*path ? 0 : AT_EMPTY_PATH) | (recursive ? AT_RECURSIVE : 0));
}

/* From the mount namespace of the process whose namespaces are shared. */
static int clone_from_peer(const struct world *w, const char *source, bool recursive) {
	CLEANUP_FD int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own < 0 || setns(w->child->target_fd, CLONE_NEWNS) < 0) return -1;
	int tree = clone_tree(AT_FDCWD, source, recursive), err = errno;
	if (setns(own, CLONE_NEWNS) < 0) {
		close_fd(&tree);
		return -1;
	}
	errno = err;
	return tree;
}

static int bind_source(const char *source, const char *below, bool recursive) {
	if (!*below) return clone_tree(AT_FDCWD, source, recursive);
	struct world from = {.root = open(below, O_PATH | O_DIRECTORY | O_CLOEXEC)};
	int fd = from.root < 0 ? -1 : resolve(&from, source, 0);
	int tree = fd < 0 ? -1 : clone_tree(fd, "", recursive);
	int err = errno;
	close_fd(&fd), close_fd(&from.root);
	errno = err;
	return tree;
}

/*
 * Binds that stay connected to the host's mounts (propagation) are cloned before the mount namespace is cut off from them: a clone made later
 * would be connected to nothing. Called before the first operation.
 */
int pin_shared_sources(struct world *w) {
	struct cursor cursor = w->request->ops;
	struct op op;
	unsigned count = 0;
	for (uint32_t i = 0; i < w->request->op_count && take_op(&cursor, &op); i++) {
		if (op.code != OP_MOUNT || !(op.number[0] & MF_BIND) || !(op.number[0] & (MF_SLAVE | MF_SHARED))) continue;
		errno = E2BIG;
		int tree = count == MAX_PINNED ? -1 : bind_source(op.text[0], op.text[1], op.number[0] & MF_REC);
		w->failure.op = (int32_t)i;
		if (tree < 0) return failed(w, "open_tree", "find the bind source", op.text[0]);
		w->pinned[count++] = (struct pinned){i, tree};
	}
	w->failure.op = -1;
	w->pinned_count = count;
	return 0;
}

static int pinned_tree(struct world *w) {
	for (unsigned i = 0; i < w->pinned_count; i++)
		if ((int32_t)w->pinned[i].op == w->failure.op) return w->pinned[i].tree;
	errno = EINVAL;
	return -1;
}

static int new_file_system(struct world *w, const struct op *op, int target) {
	static const unsigned long bits[] = {1 /* MS_RDONLY */, 2 /* MS_NOSUID */, 4 /* MS_NODEV */, 8 /* MS_NOEXEC */, 1024 /* MS_NOATIME */};
	unsigned long flags = 0;
	for (unsigned i = 0; i < 5; i++)
		if (op->number[0] & 1U << i) flags |= bits[i];
	/* "." needs no /proc to name the descriptor, and is not walked again. */
	if (fchdir(target) < 0) return failed(w, "fchdir", "enter", op->text[2]);
	if (syscall(SYS_mount, op->text[0], ".", op->text[3], flags, op->text[4]) < 0)
		return fail(&w->failure, "mount", "cannot mount %s on %s", op->text[3], op->text[2]);
	return chdir("/");
}

int do_mount(struct world *w, const struct op *op) {
	const char *source = op->text[0], *below = op->text[1], *path = op->text[2];
	unsigned flags = (unsigned)op->number[0], recursive = flags & MF_REC ? AT_RECURSIVE : 0, propagation = flags & (MF_SLAVE | MF_SHARED);
	/* An image must not put /proc or /sys elsewhere, away from what is masked in them later. */
	bool kernels = strcmp(op->text[3], "proc") == 0 || strcmp(op->text[3], "sysfs") == 0;
	CLEANUP_FD int target = open_below(w, path, 0, kernels ? RESOLVE_NO_SYMLINKS : 0);
	if (target < 0) return failed(w, "open", "find the mount point", path);
	if (*op->text[3]) return new_file_system(w, op, target);
	if (!(flags & MF_BIND)) {
		uint64_t mode = flags & MF_PRIVATE ? MS_PRIVATE_ : flags & MF_SLAVE ? MS_SLAVE_ : MS_SHARED_;
		return set_attributes(target, recursive, 0, mode) == 0 ? 0 : failed(w, "mount_setattr", "change the propagation of", path);
	}
	if (flags & MF_REMOUNT) return set_attributes(target, recursive, flags, 0) == 0 ? 0 : failed(w, "mount_setattr", "remount", path);
	CLEANUP_FD int tree = propagation ? pinned_tree(w) : flags & MF_PEER ? clone_from_peer(w, source, recursive != 0) : bind_source(source, below, recursive != 0);
	if (tree < 0) return failed(w, "open_tree", "find the bind source", source);
	if (flags & MF_IDMAP && map_ids(w, tree, recursive != 0, source) < 0) return -1;
	if (set_attributes(tree, recursive, flags, flags & MF_SLAVE ? MS_SLAVE_ : 0) < 0) return failed(w, "mount_setattr", "set attributes of", source);
	return attach(tree, target) == 0 ? 0 : fail(&w->failure, "move_mount", "cannot bind %s on %s", source, path);
}

int new_tmpfs(const char *option, const char *value, unsigned attributes) {
	CLEANUP_FD int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, option, value, 0) < 0) return -1;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return -1;
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
}

int mask(struct world *w, const char *path) {
	struct stat st;
	CLEANUP_FD int target = resolve(w, path, 0);
	if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : failed(w, "open", "find", path);
	if (fstat(target, &st) < 0) return failed(w, "stat", "look at", path);
	if (S_ISDIR(st.st_mode) && w->empty < 0) {
		/* The first one is made and attached; the others are clones of it, which is cheaper than one file system each. */
		w->empty = new_tmpfs("nr_inodes", "1", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		if (w->empty < 0 || attach(w->empty, target) < 0) return failed(w, "tmpfs", "mask", path);
		return 0;
	}
	CLEANUP_FD int tree = S_ISDIR(st.st_mode) ? clone_tree(w->empty, "", false) : clone_tree(AT_FDCWD, "/dev/null", false);
	if (tree < 0 || set_attributes(tree, 0, MF_NOSUID | MF_NOEXEC | MF_RO, 0) < 0 || attach(tree, target) < 0)
		return failed(w, "bind", "mask", path);
	return 0;
}

int read_only(struct world *w, const char *path) {
	CLEANUP_FD int target = resolve(w, path, 0);
	if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : failed(w, "open", "find", path);
	CLEANUP_FD int tree = clone_tree(target, "", true);
	if (tree < 0 || set_attributes(tree, AT_RECURSIVE, MF_RO, 0) < 0 || attach(tree, target) < 0)
		return failed(w, "bind", "make read-only", path);
	return 0;
}

int change_attributes(struct world *w, const struct op *op) {
	unsigned flags = (unsigned)op->number[0];
	CLEANUP_FD int target = resolve(w, op->text[0], 0);
	if (target < 0) return failed(w, "open", "find the mount", op->text[0]);
	if (set_attributes(target, flags & MF_REC ? AT_RECURSIVE : 0, flags, 0) == 0) return 0;
	return failed(w, "mount_setattr", "set attributes of", op->text[0]);
}
