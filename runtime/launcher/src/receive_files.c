/* A tar stream on the standard input as files of a living container. */
#include "files.h"
#include <sys/stat.h>

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

void receive_files(const char *path, const char *name) {
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
}
