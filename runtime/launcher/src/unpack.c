/*
 * The roles `unpack DIRECTORY` (makes the entries of an image layer from records on standard input), `remove DIRECTORY NAME` and `sync DIRECTORY`. The
 * agent reads the tar and decides; here every record is checked once more and carried out below the directory, which also is this process's root.
 * Wire: struct record, path, link, extended attributes, extents, data. Numbers are little-endian. See ../PROTOCOL.md.
 */
#include "tree.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/xattr.h>

enum record_type {
	RECORD_END, RECORD_DIRECTORY, RECORD_FILE, RECORD_SPARSE, RECORD_SYMLINK, RECORD_HARD_LINK, RECORD_FIFO, RECORD_WHITEOUT,
	RECORD_OPAQUE, RECORD_TIME, RECORD_COUNT
};
enum { BUFFER = 1 << 20, MAX_XATTRS = 256 << 10, MAX_EXTENTS = 32 << 10, MAX_NAME = NAME_MAX };

struct record {
	uint32_t type, mode, uid, gid;
	uint32_t nanoseconds, path_length, link_length, xattrs_length;
	int64_t seconds;
	uint64_t size; /* of a file as it appears */
	uint32_t extents, zero;
};
struct extent {
	uint64_t offset, length;
};

struct unpack {
	struct tree tree;
	struct failure failure;
	uint64_t records, bytes, left_out;
	struct record record;
	char path[PATH_MAX], link[PATH_MAX];
	uint8_t xattrs[MAX_XATTRS];
	struct extent extents[MAX_EXTENTS];
	uint8_t buffer[BUFFER];
	size_t at, filled;
};

static int refuse(struct unpack *u, const char *step, const char *what) {
	errno = 0;
	return fail(&u->failure, step, "%s", what);
}

static int broken(struct unpack *u, const char *step) {
	return fail(&u->failure, step, "\"%s\"", u->path);
}

/* At least one more byte in the buffer. */
static int fill(struct unpack *u) {
	ssize_t n = RETRY(read(STDIN_FILENO, u->buffer, sizeof u->buffer));
	if (n <= 0) return n < 0 ? fail(&u->failure, "read", "the records") : refuse(u, "read", "the input ended before the end record");
	u->at = 0;
	u->filled = (size_t)n;
	return 0;
}

static int take(struct unpack *u, void *into, size_t length) {
	for (uint8_t *to = into; length > 0;) {
		if (u->at == u->filled && fill(u) < 0) return -1;
		size_t part = u->filled - u->at < length ? u->filled - u->at : length;
		memcpy(to, u->buffer + u->at, part);
		u->at += part;
		to += part;
		length -= part;
	}
	return 0;
}

static int take_string(struct unpack *u, char text[PATH_MAX], uint32_t length) {
	if (length >= PATH_MAX) return refuse(u, "decode", "a path is too long");
	if (take(u, text, length) < 0) return -1;
	text[length] = '\0';
	return memchr(text, '\0', length) ? refuse(u, "decode", "a path has a NUL") : 0;
}

/* "" or names joined by single slashes. */
static bool is_plain(const char *path) {
	if (!*path) return true;
	for (const char *part = path;; ) {
		size_t length = strcspn(part, "/");
		if (length == 0 || length > MAX_NAME || (length <= 2 && strncmp(part, "..", length) == 0)) return false;
		if (!part[length]) return true;
		part += length + 1;
	}
}

/* What a layer may set: never what overlayfs or a security module takes orders from. */
static bool is_allowed_xattr(const char *name) {
	if (strcmp(name, "security.capability") == 0) return true;
	if (strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0) return true;
	return strncmp(name, "user.", 5) == 0 && name[5] && strncmp(name, "user.overlay.", 13) != 0;
}

/* Calls `fsetxattr` for each when `fd` is not negative; otherwise only checks. */
static int each_xattr(struct unpack *u, int fd) {
	for (uint32_t at = 0; at < u->record.xattrs_length;) {
		uint32_t lengths[2], left = u->record.xattrs_length - at;
		char name[256];
		if (left < sizeof lengths) return refuse(u, "decode", "the extended attributes are cut off");
		memcpy(lengths, u->xattrs + at, sizeof lengths);
		left -= sizeof lengths;
		if (lengths[0] == 0 || lengths[0] >= sizeof name || lengths[0] > left || lengths[1] > left - lengths[0])
			return refuse(u, "decode", "an extended attribute has a wrong length");
		memcpy(name, u->xattrs + at + sizeof lengths, lengths[0]);
		name[lengths[0]] = '\0';
		if (strlen(name) != lengths[0] || !is_allowed_xattr(name)) return refuse(u, "decode", "an extended attribute is not allowed");
		const uint8_t *value = u->xattrs + at + sizeof lengths + lengths[0];
		at += sizeof lengths + lengths[0] + lengths[1];
		if (fd < 0 || fsetxattr(fd, name, value, lengths[1], 0) == 0) continue;
		/* Many file systems have no user attributes or ACLs. Capabilities that got lost would be a program that does not work. */
		if (errno != EOPNOTSUPP || strncmp(name, "security.", 9) == 0) return fail(&u->failure, "xattr", "%s of \"%s\"", name, u->path);
		u->left_out++;
	}
	return 0;
}

static int check_extents(struct unpack *u) {
	uint64_t end = 0;
	for (uint32_t i = 0; i < u->record.extents; i++) {
		const struct extent *extent = &u->extents[i];
		if (extent->offset < end || extent->length > INT64_MAX || extent->offset > INT64_MAX - extent->length)
			return refuse(u, "decode", "the extents are not in order");
		end = extent->offset + extent->length;
	}
	return end > u->record.size ? refuse(u, "decode", "an extent is behind the end of the file") : 0;
}

/* Reads and checks everything but the data. */
static int take_record(struct unpack *u) {
	struct record *r = &u->record;
	if (take(u, r, sizeof *r) < 0) return -1;
	u->path[0] = u->link[0] = '\0';
	if (r->type >= RECORD_COUNT || r->zero) return refuse(u, "decode", "no such record");
	if (r->mode > 07777 || r->nanoseconds > 999999999 || r->size > INT64_MAX) return refuse(u, "decode", "a number is out of range");
	if (r->uid == UINT32_MAX || r->gid == UINT32_MAX) return refuse(u, "decode", "an owner is out of range");
	if (r->xattrs_length > MAX_XATTRS || r->extents > MAX_EXTENTS) return refuse(u, "decode", "the record is too long");
	if (take_string(u, u->path, r->path_length) < 0 || take_string(u, u->link, r->link_length) < 0) return -1;
	if (!is_plain(u->path)) return refuse(u, "decode", "the path is not below the root");
	bool may_be_root = r->type == RECORD_DIRECTORY || r->type == RECORD_OPAQUE || r->type == RECORD_TIME || r->type == RECORD_END;
	if (!*u->path && !may_be_root) return refuse(u, "decode", "the path is empty");
	if (r->type == RECORD_HARD_LINK && (!*u->link || !is_plain(u->link))) return refuse(u, "decode", "the link is not below the root");
	if (r->type == RECORD_SYMLINK && !*u->link) return refuse(u, "decode", "the link is empty");
	if (take(u, u->xattrs, r->xattrs_length) < 0 || each_xattr(u, -1) < 0) return -1;
	if (take(u, u->extents, r->extents * sizeof(struct extent)) < 0) return -1;
	return r->type == RECORD_SPARSE ? check_extents(u) : r->extents ? refuse(u, "decode", "only sparse files have extents") : 0;
}

static int copy_data(struct unpack *u, int fd, uint64_t length) {
	while (length > 0) {
		if (u->at == u->filled && fill(u) < 0) return -1;
		size_t part = u->filled - u->at < length ? u->filled - u->at : (size_t)length;
		if (write_all(fd, u->buffer + u->at, part) < 0) return broken(u, "write");
		u->at += part;
		u->bytes += part;
		length -= part;
	}
	return 0;
}

/* The owner first: a change of owner clears set-user-id bits and capabilities. */
static int set_attributes(struct unpack *u, int fd) {
	const struct record *r = &u->record;
	struct timespec times[2] = {{.tv_sec = r->seconds, .tv_nsec = r->nanoseconds}, {.tv_sec = r->seconds, .tv_nsec = r->nanoseconds}};
	if (fchown(fd, r->uid, r->gid) < 0) return broken(u, "chown");
	if (fchmod(fd, r->mode) < 0) return broken(u, "chmod");
	if (each_xattr(u, fd) < 0) return -1;
	return futimens(fd, times) < 0 ? broken(u, "utimens") : 0;
}

static int make_file(struct unpack *u, const struct place *place) {
	enum { FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC };
	CLEANUP_FD int fd = openat(place->dir, place->name, FLAGS, 0600);
	if (fd < 0 && errno == EEXIST && tree_clear(&u->tree, place, false) >= 0) fd = openat(place->dir, place->name, FLAGS, 0600);
	if (fd < 0) return broken(u, "create");
	if (u->record.type == RECORD_FILE) {
		if (copy_data(u, fd, u->record.size) < 0) return -1;
		return set_attributes(u, fd);
	}
	for (uint32_t i = 0; i < u->record.extents; i++) {
		if (lseek(fd, (off_t)u->extents[i].offset, SEEK_SET) < 0) return broken(u, "seek");
		if (copy_data(u, fd, u->extents[i].length) < 0) return -1;
	}
	if (ftruncate(fd, (off_t)u->record.size) < 0) return broken(u, "truncate");
	return set_attributes(u, fd);
}

static int make_directory(struct unpack *u, const struct place *place) {
	int way = WAY_FREE;
	if (*u->path && mkdirat(place->dir, place->name, 0700) < 0) {
		if (errno != EEXIST || (way = tree_clear(&u->tree, place, true)) < 0) return broken(u, "mkdir");
		if (way != WAY_DIRECTORY && mkdirat(place->dir, place->name, 0700) < 0) return broken(u, "mkdir");
	}
	CLEANUP_FD int fd = openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) return broken(u, "open");
	if (way == WAY_WHITEOUT && make_opaque(fd) < 0) return broken(u, "make opaque");
	return set_attributes(u, fd);
}

/* Symbolic links and pipes have no descriptor to set attributes through. Nobody else works in this tree. */
static int make_node(struct unpack *u, const struct place *place) {
	const struct record *r = &u->record;
	struct timespec times[2] = {{.tv_sec = r->seconds, .tv_nsec = r->nanoseconds}, {.tv_sec = r->seconds, .tv_nsec = r->nanoseconds}};
	if (tree_clear(&u->tree, place, false) < 0) return broken(u, "replace");
	bool link = r->type == RECORD_SYMLINK;
	if ((link ? symlinkat(u->link, place->dir, place->name) : mkfifoat(place->dir, place->name, 0600)) < 0) return broken(u, "create");
	if (fchownat(place->dir, place->name, r->uid, r->gid, AT_SYMLINK_NOFOLLOW) < 0) return broken(u, "chown");
	if (!link && fchmodat(place->dir, place->name, r->mode, 0) < 0) return broken(u, "chmod");
	return utimensat(place->dir, place->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? broken(u, "utimens") : 0;
}

/* To a file of this layer: what lower layers have is not to be seen here. */
static int make_hard_link(struct unpack *u) {
	struct place from, to;
	struct stat st;
	if (tree_locate(&u->tree, u->link, false, &from) < 0 || fstatat(from.dir, from.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(&u->failure, "link", "\"%s\" to \"%s\", which is not in the layer", u->path, u->link);
	if (S_ISDIR(st.st_mode) || S_ISCHR(st.st_mode)) return refuse(u, "link", "a hard link leads to something that is no file");
	CLEANUP_FD int kept = fcntl(from.dir, F_DUPFD_CLOEXEC, 3);
	if (kept < 0 || tree_locate(&u->tree, u->path, true, &to) < 0) return broken(u, "link");
	if (strcmp(u->path, u->link) == 0) return 0;
	if (linkat(kept, from.name, to.dir, to.name, 0) == 0) return 0;
	/* The target itself may be what has to make way (the same file by another name): a copy of its name keeps it. */
	if (errno != EEXIST || tree_clear(&u->tree, &to, false) < 0) return broken(u, "link");
	return linkat(kept, from.name, to.dir, to.name, 0) < 0 ? broken(u, "link") : 0;
}

/* Whiteouts are about lower layers: an entry of this layer stays, but hides more. */
static int make_whiteout(struct unpack *u, const struct place *place) {
	struct stat st;
	if (mknodat(place->dir, place->name, S_IFCHR, 0) == 0) return 0;
	if (errno != EEXIST || fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0) return broken(u, "make whiteout");
	if (!S_ISDIR(st.st_mode)) return 0;
	CLEANUP_FD int fd = openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || make_opaque(fd) < 0 ? broken(u, "make opaque") : 0;
}

/* A directory that may have no entry of its own. */
static int mark_opaque(struct unpack *u, const struct place *place) {
	int way = WAY_FREE;
	if (*u->path && mkdirat(place->dir, place->name, 0755) < 0) {
		if (errno != EEXIST || (way = tree_clear(&u->tree, place, true)) < 0) return broken(u, "mkdir");
		if (way != WAY_DIRECTORY && mkdirat(place->dir, place->name, 0755) < 0) return broken(u, "mkdir");
	}
	CLEANUP_FD int fd = openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || make_opaque(fd) < 0 ? broken(u, "make opaque") : 0;
}

/* A directory's time, after everything in it. It may have been replaced meanwhile. */
static int set_time(struct unpack *u, const struct place *place) {
	const struct record *r = &u->record;
	struct timespec times[2] = {{.tv_sec = r->seconds, .tv_nsec = r->nanoseconds}, {.tv_sec = r->seconds, .tv_nsec = r->nanoseconds}};
	int result = utimensat(place->dir, place->name, times, AT_SYMLINK_NOFOLLOW);
	return result < 0 && errno != ENOENT ? broken(u, "utimens") : 0;
}

static int carry_out(struct unpack *u) {
	struct place place;
	if (u->record.type == RECORD_HARD_LINK) return make_hard_link(u);
	if (tree_locate(&u->tree, u->path, u->record.type != RECORD_TIME, &place) < 0) {
		if (u->record.type == RECORD_TIME && (errno == ENOENT || errno == ENOTDIR)) return 0;
		return broken(u, "open the directory of");
	}
	switch (u->record.type) {
	case RECORD_DIRECTORY: return make_directory(u, &place);
	case RECORD_FILE:
	case RECORD_SPARSE: return make_file(u, &place);
	case RECORD_SYMLINK:
	case RECORD_FIFO: return make_node(u, &place);
	case RECORD_WHITEOUT: return make_whiteout(u, &place);
	case RECORD_OPAQUE: return mark_opaque(u, &place);
	default: return set_time(u, &place);
	}
}

static int report(const struct unpack *u) {
	printf("{\"failed\":{\"record\":%llu,\"errno\":%d,\"step\":\"%s\",\"message\":\"", (unsigned long long)u->records, u->failure.err, u->failure.step);
	for (const char *at = u->failure.message; *at; at++) {
		unsigned char c = (unsigned char)*at;
		if (c == '"' || c == '\\') printf("\\%c", c);
		else if (c < 32 || c > 126) printf("\\u%04x", c);
		else putchar(c);
	}
	printf("\"}}\n");
	return 1;
}

/* From here on no path can lead out of the directory, and the end of the agent is the end of this. */
static int confine(struct tree *tree, const char *directory) {
	struct rlimit none = {0, 0};
	close_range(3, ~0U, 0);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none);
	umask(0);
	if (tree_open(tree, directory) < 0) return -1;
	return fchdir(tree->root) < 0 || chroot(".") < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -1 : 0;
}

static int unpack(const char *directory) {
	struct unpack *u = calloc(1, sizeof *u);
	if (!u) return 1;
	if (confine(&u->tree, directory) < 0) return fail(&u->failure, "open", "the directory"), report(u);
	for (;; u->records++) {
		if (take_record(u) < 0) return report(u);
		if (u->record.type == RECORD_END) break;
		if (carry_out(u) < 0) return report(u);
	}
	printf("{\"records\":%llu,\"bytes\":%llu,\"leftOut\":%llu}\n", (unsigned long long)u->records, (unsigned long long)u->bytes,
		(unsigned long long)u->left_out);
	return 0;
}

static int complain_about(const char *what, const char *object) {
	fprintf(stderr, "cannot %s %s: %s\n", what, object, strerror(errno));
	return 1;
}

static int remove_below(const char *directory, const char *name) {
	struct tree tree;
	errno = EINVAL;
	if (!*name || strchr(name, '/') || !is_plain(name)) return complain_about("remove", name);
	if (confine(&tree, directory) < 0) return complain_about("open", directory);
	return tree_remove(&tree, tree.root, name) < 0 ? complain_about("remove", name) : 0;
}

static int sync_file_system(const char *directory) {
	CLEANUP_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || syncfs(fd) < 0 ? complain_about("sync", directory) : 0;
}

int run_unpack(int count, char **arguments) {
	if (count == 3 && strcmp(arguments[1], "unpack") == 0) return unpack(arguments[2]);
	if (count == 4 && strcmp(arguments[1], "remove") == 0) return remove_below(arguments[2], arguments[3]);
	if (count == 3 && strcmp(arguments[1], "sync") == 0) return sync_file_system(arguments[2]);
	fprintf(stderr, "usage: tepui-launcher unpack DIRECTORY | remove DIRECTORY NAME | sync DIRECTORY\n");
	return 2;
}
