/*
 * A supervisor's state file, `containers/ID` in the runtime directory: what a later `serve`, also of another build, needs to find it and its container
 * again. Not durable: neither survives a reboot. Its form never changes; what is new comes behind.
 */
#include "launcher.h"

int write_state(int runtime_fd, const char *name, const struct supervised *state) {
	char text[2 * PATH_MAX + 128];
	int length = snprintf(text, sizeof text, "%d %llu %d %llu %u\n%s\n%s\n", state->supervisor, state->supervisor_start, state->pid, state->start, state->flags,
		state->exit_record, state->cgroup);
	CLEANUP_FD int fd = openat(runtime_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : write_all(fd, text, (size_t)length);
}

/* `text` is what the state's texts lead into. False for a file that its supervisor did not finish. */
bool read_state(int runtime_fd, const char *name, struct supervised *state, char text[MAX_STATE]) {
	CLEANUP_FD int file = openat(runtime_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length = file < 0 ? -1 : RETRY(read(file, text, MAX_STATE - 1));
	text[length > 0 ? length : 0] = '\0';
	char *rest = text, *first = strsep(&rest, "\n");
	state->exit_record = strsep(&rest, "\n");
	state->cgroup = strsep(&rest, "\n");
	return state->cgroup &&
		sscanf(first, "%d %llu %d %llu %u", &state->supervisor, &state->supervisor_start, &state->pid, &state->start, &state->flags) == 5;
}
