/*
 * The overlay operation: layers of an image put together to one tree. With `upper` the tree is writable: `upper/upper` and `upper/work` take the
 * changes. With OV_MEMORY they go to a small tmpfs, which is for mount points in a root that becomes read-only. Otherwise it is read-only.
 *
 * A layer is named to the kernel by its path when that is simple. Where ids are to be mapped, a path has a character that mount options cannot
 * carry, or all of them together are too long for one page, each is bound below a tmpfs under a number first: that works on every kernel, and the
 * binds disappear with the old root.
 *
 * In a user namespace nobody may set trusted.* attributes: the overlay then keeps its marks in user.*, as `make_opaque` (tree.c) does.
 */
#include "launcher.h"
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { OPTIONS = 4096 };

struct layers {
	const char *path[MAX_LAYERS];
	unsigned count;
};

static bool split(const struct op *op, struct layers *layers) {
	const char *at = (const char *)op->blob, *end = at + op->blob_length;
	for (layers->count = 0; at < end && layers->count < MAX_LAYERS; at += strlen(at) + 1) layers->path[layers->count++] = at;
	return at == end && layers->count > 0;
}

static bool simple(const struct layers *layers, const char *upper) {
	size_t length = 2 * strlen(upper) + 64;
	for (unsigned i = 0; i < layers->count; i++) {
		length += strlen(layers->path[i]) + 1;
		if (strpbrk(layers->path[i], ":,\\\"")) return false;
	}
	return length < OPTIONS && !strpbrk(upper, ":,\\\"");
}

/* Makes one of the two directories for changes. `owner`: the topmost one shows through as the root of the tree. */
static int make_directory(struct world *w, int parent, const char *name, const struct op *op, bool owner) {
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST) return failed(w, "mkdir", "make the directory for changes", name);
	if (!owner) return 0;
	CLEANUP_FD int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, (uid_t)op->number[2], (gid_t)op->number[3]) < 0 || fchmod(fd, (mode_t)op->number[1]) < 0)
		return failed(w, "chown", "give away the directory for changes", name);
	return 0;
}

/* Binds `path` at `name` below the staging directory. */
static int stage(struct world *w, int staging, const char *name, const char *path, bool mapped) {
	CLEANUP_FD int tree = clone_tree(AT_FDCWD, path, false);
	if (tree < 0) return failed(w, "open_tree", "find the layer", path);
	if (mapped && map_ids(w, tree, false, path) < 0) return -1;
	if (mkdirat(staging, name, 0700) < 0) return failed(w, "mkdir", "make the place for", path);
	CLEANUP_FD int place = openat(staging, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return place < 0 || attach(tree, place) < 0 ? failed(w, "move_mount", "bind the layer", path) : 0;
}

static int mount_overlay(struct world *w, const char *target, unsigned attributes, const char *options) {
	/* Attributes of the mount itself; those of the file system would apply to `work` too. */
	unsigned long flags = (attributes & MF_RO ? 1UL : 0) | (attributes & MF_NOSUID ? 2UL : 0) | (attributes & MF_NODEV ? 4UL : 0) |
		(attributes & MF_NOEXEC ? 8UL : 0) | (attributes & MF_NOATIME ? 1024UL : 0);
	if (syscall(SYS_mount, "overlay", ".", "overlay", flags, options) < 0) return failed(w, "overlay", "mount the layers on", target);
	return chdir("/");
}

int do_overlay(struct world *w, const struct op *op) {
	const char *path = op->text[0], *upper = op->text[1];
	unsigned flags = (unsigned)op->number[0];
	char options[OPTIONS] = "lowerdir=", name[16];
	struct layers layers;
	errno = EINVAL;
	if (!split(op, &layers)) return failed(w, "overlay", "read the layers for", path);
	bool memory = flags & OV_MEMORY, mapped = flags & MF_IDMAP && w->child->user_fd >= 0, plain = !mapped && simple(&layers, upper);
	bool staged = !plain || memory || (!*upper && layers.count == 1);
	CLEANUP_FD int target = resolve(w, path, O_DIRECTORY);
	if (target < 0) return failed(w, "open", "find the mount point", path);
	CLEANUP_FD int staging = -1;
	size_t used = strlen(options);
	if (staged) {
		staging = new_tmpfs("mode", "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
		if (staging < 0 || attach(staging, target) < 0) return failed(w, "tmpfs", "make the place for layers at", path);
	}
	for (unsigned i = 0; i < layers.count; i++) {
		snprintf(name, sizeof name, "%u", i);
		if (!plain && stage(w, staging, name, layers.path[i], mapped) < 0) return -1;
		used += (size_t)snprintf(options + used, sizeof options - used, "%s%s", i ? ":" : "", plain ? layers.path[i] : name);
		errno = E2BIG;
		if (used >= sizeof options) return failed(w, "overlay", "name that many layers for", path);
	}
	/* The kernel wants two layers where there is no upper one. */
	if (!memory && !*upper && layers.count == 1 && make_directory(w, staging, "none", op, false) < 0) return -1;
	if (memory || *upper) {
		CLEANUP_FD int below = memory ? dup(staging) : open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0) return failed(w, "open", "find the directory for changes", upper);
		if (make_directory(w, below, "upper", op, true) < 0 || make_directory(w, below, "work", op, false) < 0) return -1;
		if (!plain && !memory && stage(w, staging, "changes", upper, false) < 0) return -1;
		const char *base = memory ? "" : plain ? upper : "changes", *slash = memory ? "" : "/";
		/* Changes end with the container: no reason to wait for the disk. */
		used += (size_t)snprintf(options + used, sizeof options - used, ",upperdir=%s%supper,workdir=%s%swork,volatile", base, slash, base, slash);
	} else if (layers.count == 1) {
		used += (size_t)snprintf(options + used, sizeof options - used, ":none");
	}
	if (in_own_user_namespace()) used += (size_t)snprintf(options + used, sizeof options - used, ",userxattr");
	errno = E2BIG;
	if (used >= sizeof options) return failed(w, "overlay", "name the layers for", path);
	if (fchdir(staged ? staging : target) < 0) return failed(w, "fchdir", "enter", path);
	return mount_overlay(w, path, flags, options);
}
