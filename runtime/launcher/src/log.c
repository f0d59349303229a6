/* Where a container's output goes: a file in its sandbox, rotated by size. The sandbox belongs to the container's user, who may put anything there. */
#include "launcher.h"
#include <sys/stat.h>
#include <time.h>

static int open_log_file(struct log *log) {
	struct stat st;
	for (int attempt = 0; attempt < 2; attempt++) {
		int fd = openat(log->dir, log->name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
		/* The container's user owns the directory: a symlink, FIFO or hard link put there must not receive what root writes. */
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
			log->size = (uint64_t)st.st_size;
			if ((st.st_uid == log->uid && st.st_gid == log->gid) || fchown(fd, log->uid, log->gid) == 0) {
				fchmod(fd, 0644);
				return fd;
			}
		}
		int err = errno;
		if (fd >= 0) close(fd);
		errno = err;
		if (unlinkat(log->dir, log->name, 0) < 0) break;
	}
	return -1;
}

/*
 * When what was written: `.NAME.times` beside a log, pairs of 64-bit numbers (Unix time in ms, position in the log), for readers that want to begin at a
 * time. A note a second, after FINE of them one a minute. It is a help only: that it cannot be kept loses nothing.
 */
enum { FINE = 16384, COARSE_SECONDS = 60 };

static void times_name(const struct log *log, uint32_t index, char name[NAME_MAX + 32]) {
	if (index) snprintf(name, NAME_MAX + 32, ".%s.%u.times", log->name, index);
	else snprintf(name, NAME_MAX + 32, ".%s.times", log->name);
}

static int open_times(const struct log *log) {
	char name[NAME_MAX + 32];
	struct stat st;
	times_name(log, 0, name);
	for (int attempt = 0; attempt < 2; attempt++) {
		int fd = openat(log->dir, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && fchown(fd, log->uid, log->gid) == 0)
			if (log->size > 0 || ftruncate(fd, 0) == 0) return fd;
		if (fd >= 0) close(fd);
		if (unlinkat(log->dir, name, 0) < 0) break;
	}
	return -1;
}

static void note_time(struct log *log) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec - log->noted < (log->notes < FINE ? 1 : COARSE_SECONDS) && now.tv_sec >= log->noted) return;
	if (log->times < 0) log->times = open_times(log);
	uint64_t note[] = {(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, log->size};
	if (log->times >= 0) (void)!write(log->times, note, sizeof note);
	log->noted = now.tv_sec;
	log->notes++;
}

static void forget_times(struct log *log) {
	if (log->times >= 0) close(log->times);
	log->times = -1;
	log->noted = log->notes = 0;
}

/* path.1 becomes path.2 and so on; the last one falls off. What cannot be renamed (a directory in the way) is truncated instead. */
static void rotate(struct log *log) {
	char from[NAME_MAX + 32], to[NAME_MAX + 32];
	bool renamed = false;
	for (uint32_t i = log->max_files; i >= 1; i--) {
		snprintf(to, sizeof to, "%s.%u", log->name, i);
		snprintf(from, sizeof from, i > 1 ? "%s.%u" : "%s", log->name, i - 1);
		renamed = renameat(log->dir, from, log->dir, to) == 0;
		times_name(log, i - 1, from), times_name(log, i, to);
		if (renamed) (void)renameat(log->dir, from, log->dir, to);
	}
	forget_times(log);
	int fresh = renamed ? open_log_file(log) : -1;
	if (fresh >= 0) {
		close(log->file);
		log->file = fresh;
	} else if (ftruncate(log->file, 0) == 0) {
		log->size = 0;
	}
}

/* A full disk must not stop the container: what cannot be written is dropped and counted. */
static void append(struct log *log, const char *data, size_t length) {
	if (length > 0) note_time(log);
	while (length > 0) {
		ssize_t n = RETRY(write(log->file, data, length));
		if (n <= 0) {
			log->dropped += length;
			return;
		}
		log->size += (uint64_t)n;
		data += n;
		length -= (size_t)n;
	}
}

/* Rotates between two lines where there is an end of line to do so. */
void write_log(struct log *log, const char *data, size_t length) {
	while (log->max_bytes && log->size + length > log->max_bytes) {
		size_t room = log->max_bytes > log->size ? (size_t)(log->max_bytes - log->size) : 0;
		const char *line = room ? memrchr(data, '\n', room) : NULL;
		size_t part = line ? (size_t)(line - data) + 1 : log->size ? 0 : room;
		append(log, data, part);
		data += part;
		length -= part;
		uint64_t before = log->dropped;
		rotate(log);
		if (log->dropped != before || log->size >= log->max_bytes) break;
	}
	append(log, data, length);
}

/* Without a writer there is no pipe: a terminal's output comes from its master. */
int open_log(struct log *log, const struct sink *sink, int *writer, struct failure *failure) {
	int ends[2];
	*log = (struct log){.pipe = -1, .times = -1, .max_bytes = sink->max_bytes, .max_files = sink->max_files, .uid = sink->uid, .gid = sink->gid};
	log->dir = open_parent(sink->path, log->name);
	log->file = log->dir < 0 ? -1 : open_log_file(log);
	if (log->file < 0) return fail(failure, "log", "cannot open the log file %s", sink->path);
	if (!writer) return 0;
	if (pipe2(ends, O_CLOEXEC) < 0) return fail(failure, "pipe", "cannot make a pipe");
	fcntl(ends[0], F_SETFL, O_NONBLOCK); /* the writing end stays blocking: it is the container's */
	log->pipe = ends[0];
	*writer = ends[1];
	return 0;
}
