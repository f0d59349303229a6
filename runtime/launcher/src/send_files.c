/* Files of a living container as a tar stream on the standard output. */
#include "files.h"
#include <dirent.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { DEEPEST = 256 };

static void send(const void *data, size_t length) {
	if (write_all(STDOUT_FILENO, data, length) < 0) _exit(FAILED); /* nobody listens any more */
}

static void send_padding(uint64_t length) {
	static const char zeros[BLOCK];
	send(zeros, (size_t)(-length % BLOCK));
}

/* Digits and a NUL; 0 for what does not fit. */
static void put_octal(char *to, size_t room, uint64_t value) {
	if (value >> 3 * (room - 1)) value = 0;
	to[room - 1] = '\0';
	for (size_t i = room - 1; i > 0; value >>= 3) to[--i] = (char)('0' + (value & 7));
}

static void send_block(const char *name, const char *link, char type, const struct stat *st, uint64_t size) {
	struct header header = {.type = type};
	unsigned sum = 0;
	memcpy(header.name, name, strnlen(name, sizeof header.name));
	memcpy(header.link, link, strnlen(link, sizeof header.link));
	memcpy(header.magic, "ustar\0" "00", sizeof header.magic);
	put_octal(header.mode, sizeof header.mode, st->st_mode & 07777);
	put_octal(header.uid, sizeof header.uid, st->st_uid);
	put_octal(header.gid, sizeof header.gid, st->st_gid);
	put_octal(header.size, sizeof header.size, size);
	put_octal(header.mtime, sizeof header.mtime, st->st_mtime < 0 ? 0 : (uint64_t)st->st_mtime);
	memset(header.checksum, ' ', sizeof header.checksum);
	for (unsigned i = 0; i < BLOCK; i++) sum += ((unsigned char *)&header)[i];
	put_octal(header.checksum, sizeof header.checksum - 1, sum);
	send(&header, sizeof header);
}

/* "LENGTH KEY=VALUE\n", where the length counts itself. */
static size_t pax_record(char *to, size_t room, const char *key, const char *value) {
	size_t rest = strlen(key) + strlen(value) + 3, length = rest + 1;
	while (length != rest + (size_t)snprintf(NULL, 0, "%zu", length)) length = rest + (size_t)snprintf(NULL, 0, "%zu", length);
	return length < room ? (size_t)snprintf(to, room, "%zu %s=%s\n", length, key, value) : 0;
}

static void send_header(const char *name, const char *link, char type, const struct stat *st, uint64_t size) {
	char extended[3 * LONGEST], text[32];
	size_t length = 0;
	struct stat plain = {.st_mode = 0644};
	if (strlen(name) > 100) length += pax_record(extended, sizeof extended, "path", name);
	if (strlen(link) > 100) length += pax_record(extended + length, sizeof extended - length, "linkpath", link);
	snprintf(text, sizeof text, "%llu", (unsigned long long)size);
	if (size > 077777777777) length += pax_record(extended + length, sizeof extended - length, "size", text);
	if (length > 0) {
		send_block("pax", "", 'x', &plain, length);
		send(extended, length);
		send_padding(length);
	}
	send_block(name, link, type, st, size);
}

/* As many bytes as it had when its turn came, whatever happens to it meanwhile. */
static void send_file(int fd, const char *name, const struct stat *st) {
	uint64_t left = (uint64_t)st->st_size;
	send_header(name, "", '0', st, left);
	while (left > 0) {
		size_t wanted = left < CHUNK ? (size_t)left : CHUNK;
		ssize_t n = RETRY(read(fd, chunk, wanted));
		if (n <= 0) {
			if (n < 0) leave_out("%s: read", name);
			memset(chunk, 0, wanted);
			n = (ssize_t)wanted;
		}
		send(chunk, (size_t)n);
		left -= (uint64_t)n;
	}
	send_padding((uint64_t)st->st_size);
}

/* Kernel file systems: what they show is no file, and there may be no end of it. */
static bool is_pseudo(int fd) {
	static const unsigned long known[] = {0x9fa0 /* proc */, 0x62656572 /* sysfs */, 0x27e0eb /* cgroup */, 0x63677270 /* cgroup2 */, 0x64626720 /* debugfs */};
	struct statfs fs;
	for (unsigned i = 0; fstatfs(fd, &fs) == 0 && i < sizeof known / sizeof *known; i++)
		if ((unsigned long)fs.f_type == known[i]) return true;
	return false;
}

static void send_entry(int parent, const char *entry, char path[LONGEST], unsigned depth);

/* Takes `fd`. `path` names the directory, and is the same in the end. */
static void send_directory(int fd, char path[LONGEST], unsigned depth) {
	size_t length = strlen(path);
	DIR *dir = depth > DEEPEST ? NULL : fdopendir(fd);
	if (!dir) {
		if (depth > DEEPEST) errno = ELOOP;
		leave_out("%s", path);
		close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		errno = ENAMETOOLONG;
		if (length + strlen(entry->d_name) + 3 > LONGEST) leave_out("%s/%s", path, entry->d_name);
		else {
			snprintf(path + length, LONGEST - length, "/%s", entry->d_name);
			send_entry(dirfd(dir), entry->d_name, path, depth);
			path[length] = '\0';
		}
	}
	closedir(dir);
}

static void send_entry(int parent, const char *entry, char path[LONGEST], unsigned depth) {
	char link[PATH_MAX];
	struct stat st, opened;
	if (fstatat(parent, entry, &st, AT_SYMLINK_NOFOLLOW) < 0) return leave_out("%s", path);
	if (S_ISLNK(st.st_mode)) {
		ssize_t length = readlinkat(parent, entry, link, sizeof link - 1);
		if (length < 0) return leave_out("%s", path);
		link[length] = '\0';
		return send_header(path, link, '2', &st, 0);
	}
	errno = 0;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return leave_out("%s: neither a file, a directory nor a link", path);
	int fd = openat(parent, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &opened) < 0) leave_out("%s", path);
	else if (S_ISDIR(opened.st_mode)) {
		errno = 0;
		if (is_pseudo(fd)) leave_out("%s: a file system of the kernel", path);
		else {
			strcat(path, "/");
			send_header(path, "", '5', &opened, 0);
			path[strlen(path) - 1] = '\0';
			return send_directory(fd, path, depth + 1);
		}
	} else if (S_ISREG(opened.st_mode)) send_file(fd, path, &opened);
	if (fd >= 0) close(fd);
}

void send_files(const char *path, const char *name) {
	static const char end[2 * BLOCK];
	char shown[LONGEST];
	struct stat st;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) give_up("cannot open", path);
	errno = 0;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) give_up("neither a file nor a directory:", path);
	if (is_pseudo(fd)) give_up("on a file system of the kernel, which has no files to copy:", path);
	snprintf(shown, LONGEST - 1, "%s%s", name, S_ISDIR(st.st_mode) ? "/" : "");
	if (S_ISREG(st.st_mode)) send_file(fd, shown, &st);
	else {
		send_header(shown, "", '5', &st, 0);
		snprintf(shown, LONGEST, "%s", name);
		send_directory(dup(fd), shown, 0);
	}
	send(end, sizeof end);
}
