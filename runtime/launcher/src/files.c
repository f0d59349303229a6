/*
 * Copying files out of and into a living container, as a tar stream on the standard output or input. It runs where an exec'd command would: inside the
 * container's namespaces, as its user, under its limits and its filter, so that whatever links are in the way can lead nowhere else; and it
 * needs no program in the container. Still no link is followed but in the path that was asked for. Exit: 0, 1 failed, 3 something was left out.
 */
#include "launcher.h"
#include <dirent.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

enum { BLOCK = 512, CHUNK = 65536, DEEPEST = 256, LONGEST = 8192, FAILED = 1, LEFT_OUT = 3 };

struct header { /* POSIX ustar */
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[8], user[32], group[32], major[8], minor[8], prefix[155], zero[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static int result; /* what was left out so far */
static char chunk[CHUNK];

static void __attribute__((format(printf, 1, 2))) leave_out(const char *format, ...) {
	va_list list;
	va_start(list, format);
	vdprintf(STDERR_FILENO, format, list);
	va_end(list);
	dprintf(STDERR_FILENO, errno ? ": %s\n" : "\n", strerror(errno));
	result = LEFT_OUT;
}

static _Noreturn void give_up(const char *what, const char *object) {
	dprintf(STDERR_FILENO, errno ? "%s %s: %s\n" : "%s %s\n", what, object, strerror(errno));
	_exit(FAILED);
}

/* --- out of the container --- */

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

static int send_files(const char *path, const char *name) {
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
	return result;
}

/* --- into the container --- */

struct note { /* a directory that was made: its mode and time are set when everything is in it */
	struct note *next;
	mode_t mode;
	time_t mtime;
	char path[];
};
struct arrival {
	int base;         /* the directory that it goes into */
	const char *name; /* what takes the place of the first part of each path; NULL: they are taken as they are */
	struct note *notes;
	unsigned serial;
};

static bool receive(void *into, size_t length) {
	for (char *at = into; length > 0;) {
		ssize_t n = RETRY(read(STDIN_FILENO, at, length));
		if (n <= 0) return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

static void discard(uint64_t length) {
	while (length > 0) {
		size_t part = length < CHUNK ? (size_t)length : CHUNK;
		if (!receive(chunk, part)) give_up("the archive", "is cut short");
		length -= part;
	}
}

static uint64_t octal(const char *text, size_t length) {
	uint64_t value = 0;
	if (*text & 0x80) { /* GNU: big-endian binary */
		for (size_t i = 1; i < length; i++) value = value << 8 | (unsigned char)text[i];
		return value;
	}
	for (size_t i = 0; i < length && text[i] && value <= UINT64_MAX >> 3; i++)
		if (text[i] >= '0' && text[i] <= '7') value = value << 3 | (unsigned)(text[i] - '0');
	return value;
}

/* Opens a directory of the arrival, making what is missing. No part may be a link. */
static int open_inside(const struct arrival *a, char *path) {
	int dir = dup(a->base);
	for (char *part = path; dir >= 0 && *part;) {
		size_t length = strcspn(part, "/");
		char saved = part[length];
		part[length] = '\0';
		(void)mkdirat(dir, part, 0755);
		int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int err = errno;
		part[length] = saved;
		close(dir);
		errno = err;
		dir = next;
		part += length + (saved ? 1 : 0);
	}
	return dir;
}

/* Beside its place, and then into it: what is there meanwhile is the old file or the new one, and a link is replaced and not followed. */
static void receive_file(struct arrival *a, int dir, const char *name, const char *shown, mode_t mode, time_t mtime, uint64_t size) {
	char temporary[64];
	snprintf(temporary, sizeof temporary, ".tepui-cp-%d-%u", getpid(), a->serial++);
	CLEANUP_FD int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		leave_out("%s", shown);
		return discard(size);
	}
	for (uint64_t left = size, part; left > 0; left -= part) {
		part = left < CHUNK ? left : CHUNK;
		bool whole = receive(chunk, (size_t)part);
		if (whole && write_all(fd, chunk, (size_t)part) == 0) continue;
		int err = whole ? errno : 0;
		unlinkat(dir, temporary, 0);
		errno = err;
		give_up(whole ? "cannot write" : "the archive is cut short at", shown);
	}
	futimens(fd, (struct timespec[]){{.tv_sec = mtime}, {.tv_sec = mtime}});
	if (fchmod(fd, mode & 0777) == 0 && renameat(dir, temporary, dir, name) == 0) return;
	leave_out("%s", shown);
	unlinkat(dir, temporary, 0);
}

static void receive_directory(struct arrival *a, int dir, const char *name, const char *shown, mode_t mode, time_t mtime) {
	struct stat st;
	if (mkdirat(dir, name, 0700) < 0) {
		if (errno == EEXIST && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) return;
		return leave_out("%s", shown);
	}
	struct note *note = malloc(sizeof *note + strlen(shown) + 1);
	if (!note) return;
	*note = (struct note){.next = a->notes, .mode = mode & 0777, .mtime = mtime};
	strcpy(note->path, shown);
	a->notes = note;
}

static void settle_directories(const struct arrival *a) {
	for (struct note *note = a->notes; note; note = note->next) {
		CLEANUP_FD int dir = open_inside(a, note->path);
		if (dir >= 0 && futimens(dir, (struct timespec[]){{.tv_sec = note->mtime}, {.tv_sec = note->mtime}}) == 0) (void)!fchmod(dir, note->mode);
	}
}

/* Of the text of an extended header: the value of a key, or what was there before. */
static void pax_value(char *text, size_t length, const char *key, char *into, size_t room) {
	for (char *at = text, *end = text + length; at < end;) {
		char *space = NULL;
		unsigned long record = strtoul(at, &space, 10);
		if (record < 4 || record > (size_t)(end - at) || !space || *space != ' ') return;
		size_t prefix = (size_t)(space + 1 - at), keys = strlen(key);
		if (record > prefix + keys + 2 && strncmp(space + 1, key, keys) == 0 && space[1 + keys] == '=') {
			size_t value = record - prefix - keys - 2;
			if (value < room) {
				memcpy(into, space + 2 + keys, value);
				into[value] = '\0';
			}
		}
		at += record;
	}
}

/* Where an entry goes: its first part (`.` too, as in `tar c .`) becomes the arrival's name. NULL for one that would lead elsewhere, "" for the base itself. */
static char *place(const struct arrival *a, const char *name, char path[LONGEST]) {
	while (strncmp(name, "./", 2) == 0 && (!a->name || strncmp(name + 2, "./", 2) == 0)) name += 2;
	const char *rest = a->name ? name + strcspn(name, "/") : name;
	if (*name == '/' || snprintf(path, LONGEST, "%s%s", a->name ? a->name : "", rest) >= LONGEST) return NULL;
	for (size_t length = strlen(path); length > 0 && path[length - 1] == '/';) path[--length] = '\0';
	if (!a->name && (!*path || strcmp(path, ".") == 0)) return path[0] = '\0', path;
	for (const char *part = path; part; part = strchr(part, '/')) {
		if (*part == '/') part++;
		size_t length = strcspn(part, "/");
		if (length == 0 || (length <= 2 && strncmp(part, "..", length) == 0)) return NULL;
	}
	return path;
}

static void receive_entry(struct arrival *a, char type, const char *name, const char *link, mode_t mode, time_t mtime, uint64_t size) {
	char path[LONGEST];
	errno = 0;
	if (!place(a, name, path)) give_up("a path in the archive leads elsewhere:", name);
	if (!*path) return discard(size);
	char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path, parent[LONGEST];
	snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 0, path);
	CLEANUP_FD int dir = open_inside(a, parent);
	if (dir < 0) {
		leave_out("%s", path);
		return discard(size);
	}
	if (type == '0' || type == '\0' || type == '7') return receive_file(a, dir, last, path, mode, mtime, size);
	if (type == '5') receive_directory(a, dir, last, path, mode, mtime);
	else if (type == '2') {
		(void)unlinkat(dir, last, 0);
		if (symlinkat(link, dir, last) < 0) leave_out("%s", path);
	} else leave_out("%s: neither a file, a directory nor a link", path);
	discard(size);
}

static int receive_files(const char *path, const char *name) {
	static struct header header;
	static char extended[3 * LONGEST], long_name[LONGEST], long_link[LONGEST], text[32], target[PATH_MAX];
	struct arrival arrival = {.name = strcmp(name, ".") == 0 ? NULL : name};
	struct stat st;
	snprintf(target, sizeof target, "%s", path);
	if (stat(target, &st) < 0 || !S_ISDIR(st.st_mode)) { /* the last part is the new name */
		char *slash = strrchr(target, '/');
		errno = ENOENT;
		if (slash && !slash[1]) give_up("no directory", path);
		arrival.name = slash ? slash + 1 : target;
		if (slash) *slash = '\0';
		arrival.base = open(slash == NULL ? "." : *target ? target : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else arrival.base = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (arrival.base < 0) give_up("cannot open the directory of", path);
	while (receive(&header, sizeof header) && header.name[0]) {
		uint64_t size = octal(header.size, sizeof header.size);
		if (header.type == 'x' || header.type == 'g' || header.type == 'L' || header.type == 'K') {
			uint64_t padded = size + -size % BLOCK;
			if (padded > sizeof extended || !receive(extended, (size_t)padded)) give_up("a header", "is too long, or cut short");
			if (header.type == 'L') snprintf(long_name, sizeof long_name, "%.*s", (int)size, extended);
			if (header.type == 'K') snprintf(long_link, sizeof long_link, "%.*s", (int)size, extended);
			if (header.type != 'x') continue;
			pax_value(extended, (size_t)size, "path", long_name, sizeof long_name);
			pax_value(extended, (size_t)size, "linkpath", long_link, sizeof long_link);
			pax_value(extended, (size_t)size, "size", text, sizeof text);
			continue;
		}
		if (*text) size = strtoull(text, NULL, 10);
		if (!*long_name)
			snprintf(long_name, sizeof long_name, "%.155s%s%.100s", header.prefix, header.prefix[0] ? "/" : "", header.name);
		if (!*long_link) snprintf(long_link, sizeof long_link, "%.100s", header.link);
		receive_entry(&arrival, header.type, long_name, long_link, (mode_t)octal(header.mode, 8), (time_t)octal(header.mtime, 12), size);
		discard(-size % BLOCK);
		long_name[0] = long_link[0] = text[0] = '\0';
	}
	settle_directories(&arrival);
	while (receive(chunk, 1)) continue; /* so that whoever writes does not break */
	return result;
}

/* argv: send|receive PATH NAME, checked by the caller. The process has become what an exec'd command would be, but for what an exec takes away. */
int run_files(char **argv) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};
	if (geteuid() != 0 && syscall(SYS_capset, &header, none) < 0) give_up("cannot give up", "capabilities");
	return strcmp(argv[0], "send") == 0 ? send_files(argv[1], argv[2]) : receive_files(argv[1], argv[2]);
}
