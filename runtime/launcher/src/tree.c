/*
 * One directory tree, changed only below its root. Every look-up goes through openat2 with RESOLVE_IN_ROOT: symbolic links that are part of
 * the tree may be followed, and never lead out of it. See tree.h.
 */
#include "tree.h"
#include <dirent.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Deeper levels are moved up to the root first: each level of a removal holds a descriptor. */
enum { DEEPEST = 48 };

static int open_below(int root, const char *path) {
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	return (int)RETRY(syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how));
}

bool is_whiteout(const struct stat *st) {
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* Not permitted in a user namespace: there overlays are mounted with `userxattr`. */
int make_opaque(int fd) {
	if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) == 0) return 0;
	return errno == EPERM ? fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) : -1;
}

static void forget_parent(struct tree *tree) {
	if (tree->parent_fd >= 0 && tree->parent_fd != tree->root) close(tree->parent_fd);
	tree->parent_fd = -1;
}

int tree_open(struct tree *tree, const char *root) {
	*tree = (struct tree){.parent_fd = -1};
	/* Not to be guessed: a layer cannot have an entry of that name. */
	if (getrandom(&tree->nonce, sizeof tree->nonce, 0) != sizeof tree->nonce) return -1;
	tree->root = (int)RETRY(open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	return tree->root < 0 ? -1 : 0;
}

/* One part of a path that has no directory yet. A whiteout there said that lower layers' entry is gone: the new directory goes on saying so. */
static int make_part(int dir, const char *name) {
	struct stat st;
	if (mkdirat(dir, name, 0755) == 0) return 0;
	if (errno != EEXIST || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -1;
	if (!is_whiteout(&st)) {
		errno = ENOTDIR;
		return -1;
	}
	if (unlinkat(dir, name, 0) < 0 || mkdirat(dir, name, 0755) < 0) return -1;
	CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -1 : make_opaque(fd);
}

/* Opens the directory, making the parts that are missing. `path` is changed on the way and the same in the end. */
static int open_making(struct tree *tree, char *path) {
	int at = (int)RETRY(fcntl(tree->root, F_DUPFD_CLOEXEC, 3));
	for (char *part = path; at >= 0;) {
		char *slash = strchr(part, '/');
		if (slash) *slash = '\0';
		int next = open_below(tree->root, path);
		if (next < 0 && (errno == ENOENT || errno == ENOTDIR) && make_part(at, part) == 0) next = open_below(tree->root, path);
		int err = errno;
		close(at);
		errno = err;
		at = next;
		if (!slash) break;
		*slash = '/';
		part = slash + 1;
	}
	return at;
}

int tree_locate(struct tree *tree, const char *path, bool make, struct place *place) {
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	if (strlen(path) >= sizeof tree->parent) {
		errno = ENAMETOOLONG;
		return -1;
	}
	place->name = slash ? slash + 1 : *path ? path : ".";
	bool known = tree->parent_fd >= 0 && strlen(tree->parent) == length && memcmp(tree->parent, path, length) == 0;
	if (!known) {
		forget_parent(tree);
		memcpy(tree->parent, path, length);
		tree->parent[length] = '\0';
		tree->parent_fd = length ? open_below(tree->root, tree->parent) : tree->root;
		if (tree->parent_fd < 0 && make && (errno == ENOENT || errno == ENOTDIR))
			tree->parent_fd = open_making(tree, tree->parent);
	}
	place->dir = tree->parent_fd;
	return place->dir < 0 ? -1 : 0;
}

int tree_clear(struct tree *tree, const struct place *place, bool keep_directory) {
	struct stat st;
	if (fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? WAY_FREE : -1;
	if (S_ISDIR(st.st_mode) && keep_directory) return WAY_DIRECTORY;
	if (S_ISDIR(st.st_mode)) {
		if (tree_remove(tree, place->dir, place->name) < 0) return -1;
	} else if (unlinkat(place->dir, place->name, 0) < 0) {
		return -1;
	}
	return is_whiteout(&st) ? WAY_WHITEOUT : WAY_FREE;
}

struct spare_name {
	char text[64];
};

static struct spare_name spare_name(const struct tree *tree, unsigned number) {
	struct spare_name name;
	snprintf(name.text, sizeof name.text, ".tepui-removed-%llx-%u", (unsigned long long)tree->nonce, number);
	return name;
}

/* Moves a directory that is too deep to the root, to be removed from there. */
static int put_off(struct tree *tree, int dir, const char *name) {
	struct spare_name other = spare_name(tree, tree->removals);
	if (syscall(SYS_renameat2, dir, name, tree->root, other.text, 1 /* RENAME_NOREPLACE */) < 0) return -1;
	tree->removals++;
	return 0;
}

/* Empties and removes one directory, to DEEPEST levels. */
static int remove_directory(struct tree *tree, int dir, const char *name, int depth) {
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	int result = -1;
	if (!list) {
		if (fd >= 0) close(fd);
		return -1;
	}
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(list);
		if (!entry) {
			result = errno ? -1 : 0;
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		if (entry->d_type != DT_DIR && unlinkat(fd, entry->d_name, 0) == 0) continue;
		if (entry->d_type != DT_DIR && errno != EISDIR && errno != EPERM) break;
		if (depth == DEEPEST ? put_off(tree, fd, entry->d_name) < 0 : remove_directory(tree, fd, entry->d_name, depth + 1) < 0)
			break;
	}
	int err = errno;
	closedir(list);
	errno = err;
	return result < 0 ? -1 : unlinkat(dir, name, AT_REMOVEDIR);
}

int tree_remove(struct tree *tree, int dir, const char *name) {
	unsigned first = tree->removals;
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) return 0;
	if (errno != EISDIR && errno != EPERM) return -1;
	if (remove_directory(tree, dir, name, 0) < 0) return -1;
	for (unsigned next = first; next < tree->removals; next++) {
		struct spare_name other = spare_name(tree, next);
		if (remove_directory(tree, tree->root, other.text, 0) < 0) return -1;
	}
	return 0;
}
