/*
 * The one-shot role `quota`: project quotas of ext4 and XFS, which need ioctl and quotactl.
 *
 *   quota probe DIR                 whether the file system keeps project limits
 *   quota set DIR PROJECT BYTES     everything in DIR, now and later, counts for PROJECT, which may take BYTES (0: no limit)
 *   quota get DIR PROJECT...        what each PROJECT takes and may take on DIR's file system, a line each
 *   quota clear DIR PROJECT         no limit any more for PROJECT on DIR's file system; what is marked stays so
 *
 * Answers with lines of JSON. Nothing is created, and no symbolic link is followed, so that it may work in a directory of a task.
 */
#include "launcher.h"
#include <dirent.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

enum { BLOCK = 1024 /* of dqb_bhardlimit, whatever the file system's is: QIF_DQBLKSIZE */, DEEPEST = 512 };

static int complain(const char *what, const char *object) {
	bool missing = errno == ENOTTY || errno == EOPNOTSUPP || errno == ENOSYS || errno == ESRCH;
	fprintf(stderr, "tepui-launcher: cannot %s %s: %s\n", what, object, missing ? "the file system has no project quota" : strerror(errno));
	return 1;
}

/* By a descriptor (Linux 5.14): no path of a block device, which a container or a mount over it could hide, is needed. */
static int quota_call(int fd, unsigned command, uint32_t project, void *data) {
	return (int)RETRY(syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), project, data));
}

static bool enforces(int fd) {
	struct fs_quota_stat state = {.qs_version = FS_QSTAT_VERSION};
	return quota_call(fd, Q_XGETQSTAT, 0, &state) == 0 && state.qs_flags & FS_QUOTA_PDQ_ENFD;
}

static int set_limit(int fd, uint32_t project, uint64_t bytes) {
	/* Rounded up: a limit that is not a whole block must not become 0, which is none. */
	struct if_dqblk limit = {.dqb_valid = QIF_BLIMITS, .dqb_bhardlimit = bytes / BLOCK + (bytes % BLOCK != 0)};
	limit.dqb_bsoftlimit = 0;
	return quota_call(fd, Q_SETQUOTA, project, &limit);
}

static int mark(int fd, uint32_t project, bool directory) {
	struct fsxattr attributes;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0) return -1;
	uint32_t flags = attributes.fsx_xflags | (directory ? FS_XFLAG_PROJINHERIT : 0);
	if (attributes.fsx_projid == project && attributes.fsx_xflags == flags) return 0;
	attributes.fsx_projid = project;
	attributes.fsx_xflags = flags;
	return ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
}

/*
 * The directory itself first: what is made in it from then on counts already. Only regular files and directories take space worth counting, and
 * only they can be opened without an effect. What vanishes meanwhile is no failure; what is mounted below belongs to somebody else.
 */
static int mark_tree(int fd, uint32_t project, dev_t device, int depth) {
	if (mark(fd, project, true) < 0) return -1;
	if (depth == DEEPEST) {
		errno = ELOOP;
		return -1;
	}
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = own < 0 ? NULL : fdopendir(own);
	if (!directory) {
		close_fd(&own);
		return -1;
	}
	int result = 0;
	for (struct dirent *entry; result == 0 && (entry = readdir(directory));) {
		struct stat st;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device) continue;
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) continue;
		CLEANUP_FD int child = openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (child < 0 || fstat(child, &st) < 0 || st.st_dev != device) continue;
		if (S_ISDIR(st.st_mode)) result = mark_tree(child, project, device, depth + 1);
		else if (S_ISREG(st.st_mode)) result = mark(child, project, false);
	}
	int err = errno;
	closedir(directory);
	errno = err;
	return result;
}

static int probe(int fd) {
	printf("{\"quota\":%s}\n", enforces(fd) ? "true" : "false");
	return 0;
}

static int set(int fd, const char *path, uint32_t project, uint64_t bytes) {
	struct stat st;
	if (!enforces(fd)) {
		errno = ENOTTY;
		return complain("limit", path);
	}
	/* The limit first: at no moment does what is marked go without one. */
	if (fstat(fd, &st) < 0 || set_limit(fd, project, bytes) < 0) return complain("set the project limit of", path);
	if (mark_tree(fd, project, st.st_dev, 0) < 0) return complain("set the project of", path);
	return printf("{}\n") < 0;
}

static int get(int fd, const char *path, uint32_t project) {
	struct if_dqblk found = {0};
	/* ENOENT: XFS has no record of a project that nobody used. */
	if (quota_call(fd, Q_GETQUOTA, project, &found) < 0 && errno != ENOENT) return complain("read the project quota of", path);
	return printf("{\"usedBytes\":%llu,\"limitBytes\":%llu}\n", (unsigned long long)found.dqb_curspace,
			(unsigned long long)found.dqb_bhardlimit * BLOCK) < 0;
}

static int clear(int fd, const char *path, uint32_t project) {
	if (set_limit(fd, project, 0) < 0 && errno != ENOENT) return complain("take the project limit from", path);
	return printf("{}\n") < 0;
}

/* A whole decimal number up to `most`. */
static bool parse(const char *text, uint64_t most, uint64_t *value) {
	char *end;
	if (!text || *text < '0' || *text > '9') return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *value <= most;
}

/* `argv` starts with the role. */
int run_quota(int argc, char **argv) {
	const char *verb = argc > 1 ? argv[1] : "", *path = argc > 2 ? argv[2] : "";
	uint64_t project = 0, bytes = 0;
	bool probing = strcmp(verb, "probe") == 0, setting = strcmp(verb, "set") == 0;
	bool getting = strcmp(verb, "get") == 0, clearing = strcmp(verb, "clear") == 0;
	bool valid = path[0] == '/' && ((probing && argc == 3) || (setting && argc == 5) || (getting && argc >= 4) || (clearing && argc == 4));
	/* 0 is what is in no project; (uint32_t)-1 is invalid for the kernel. */
	for (int i = 3; valid && i < (setting ? 4 : argc); i++) valid = parse(argv[i], UINT32_MAX - 1, &project) && project > 0;
	valid = valid && (!setting || parse(argv[4], INT64_MAX, &bytes));
	if (!valid) {
		fprintf(stderr, "usage: tepui-launcher quota probe DIR | set DIR PROJECT BYTES | get DIR PROJECT... | clear DIR PROJECT\n");
		return 2;
	}
	CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) return complain("open", path);
	if (probing) return probe(fd);
	if (setting) return set(fd, path, (uint32_t)project, bytes);
	if (clearing) return clear(fd, path, (uint32_t)project);
	int result = 0;
	for (int i = 3; result == 0 && i < argc; i++) {
		parse(argv[i], UINT32_MAX - 1, &project);
		result = get(fd, path, (uint32_t)project);
	}
	return result;
}
