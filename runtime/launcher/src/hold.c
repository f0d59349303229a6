/*
 * The one-shot roles `hold DIR TYPE...` and `unhold DIR`: namespaces without a process, kept by bind mounts of their files at DIR/TYPE
 * (as `ip netns` does). A namespace is complete before it is bound, so whatever is bound can be used: `hold` makes only what is missing.
 *
 * Nothing keeps a namespace alive past `unhold`: every mount namespace made meanwhile has its own copy of the bind, and unlinking the file
 * takes those copies away wherever they are (detach_mounts in the kernel, since 3.18), whatever their propagation.
 */
#include "launcher.h"
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { NSFS = 0x6e736673 }; /* NSFS_MAGIC of linux/magic.h */

static const struct kind {
	const char *name;
	int flag;
} kinds[] = {{"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int complain(const char *what, const char *object) {
	fprintf(stderr, "tepui-launcher: cannot %s %s: %s\n", what, object, strerror(errno));
	return 1;
}

static const struct kind *find_kind(const char *name) {
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
	return NULL;
}

/*
 * Makes the directory the working directory, so that no later step walks its path again. It must be ours alone. The lock, until this process
 * ends, is for callers that do not know of each other: an agent that was killed may have left a `hold` that still runs.
 */
static int enter_directory(const char *path) {
	struct stat st;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0) return -1;
	if (st.st_uid != geteuid() || st.st_mode & 022) {
		errno = EPERM;
		return -1;
	}
	return RETRY(flock(dir, LOCK_EX)) < 0 ? -1 : fchdir(dir);
}

/* 1: a namespace of this kind is bound there. 0: not. -1: something else is. */
static int is_held(const struct kind *kind) {
	struct statfs fs;
	CLEANUP_FD int fd = open(kind->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) return errno == ENOENT ? 0 : -1;
	if (fstatfs(fd, &fs) < 0) return -1;
	if (fs.f_type != NSFS) return 0;
	if (ioctl(fd, NS_GET_NSTYPE) == kind->flag) return 1;
	errno = EEXIST;
	return -1;
}

/* A setting of the network namespace this process is in. A kernel without IPv4 has none of them. */
static int write_setting(const char *path, const char *value) {
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) return errno == ENOENT ? 0 : complain("open", path);
	return write_all(fd, value, strlen(value)) == 0 ? 0 : complain("write", path);
}

/*
 * Loopback up; and as the namespace is the task's own, its users may listen on every port and send echo requests: no capability is needed for
 * either, and in a user namespace none would help, since this network belongs to the host's.
 */
static int set_up_network(void) {
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) return complain("bring up", "lo");
	if (write_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0") != 0) return 1;
	return allow_echo_requests() == 0 ? 0 : complain("write", "ping_group_range");
}

static int bind_namespace(const struct kind *kind) {
	char source[32];
	snprintf(source, sizeof source, "/proc/self/ns/%s", kind->name);
	/* Of a call that was killed before its mount the file may be there already. */
	CLEANUP_FD int file = open(kind->name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0400);
	if (file < 0) return complain("make", kind->name);
	return mount(source, kind->name, NULL, MS_BIND, NULL) == 0 ? 0 : complain("bind a namespace at", kind->name);
}

static int hold(const char *directory, char **types) {
	int flags = 0;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST) return complain("make", directory);
	if (enter_directory(directory) < 0) return complain("use (it must be ours alone)", directory);
	for (char **type = types; *type; type++) {
		const struct kind *kind = find_kind(*type);
		int held = is_held(kind);
		if (held < 0) return complain("use", *type);
		if (!held) flags |= kind->flag;
	}
	if (flags && unshare(flags) < 0) return complain("make", "namespaces");
	if (flags & CLONE_NEWNET && set_up_network() != 0) return 1;
	for (size_t i = 0; i < KINDS; i++)
		if (flags & kinds[i].flag && bind_namespace(&kinds[i]) != 0) return 1;
	return 0;
}

static int unhold(const char *directory) {
	if (enter_directory(directory) < 0) return errno == ENOENT ? 0 : complain("use (it must be ours alone)", directory);
	for (size_t i = 0; i < KINDS; i++) {
		const char *name = kinds[i].name;
		while (umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
		if (errno != EINVAL && errno != ENOENT) return complain("unmount", name);
		if (unlink(name) < 0 && errno != ENOENT) return complain("remove", name);
	}
	/* Its owner may keep other files there. */
	if (rmdir(directory) < 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT && errno != EBUSY)
		return complain("remove", directory);
	return 0;
}

static bool is_plain(const char *path) {
	size_t length = strlen(path);
	if (path[0] != '/' || length >= PATH_MAX) return false;
	return !strstr(path, "/../") && !(length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

/* `argv` starts with the role. */
int run_hold(char **argv) {
	bool holding = strcmp(argv[0], "hold") == 0;
	bool valid = argv[1] && is_plain(argv[1]) && (holding ? argv[2] != NULL : argv[2] == NULL);
	for (char **type = argv + 2; valid && holding && *type; type++) valid = find_kind(*type) != NULL;
	if (!valid) {
		fprintf(stderr, "usage: tepui-launcher hold DIRECTORY net|ipc|uts ... | unhold DIRECTORY\n");
		return 2;
	}
	umask(077);
	return holding ? hold(argv[1], argv + 2) : unhold(argv[1]);
}
