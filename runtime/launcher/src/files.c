/*
 * Copying files out of and into a living container, as a tar stream on the standard output or input. It runs where an exec'd command would: inside the
 * container's namespaces, as its user, under its limits and its filter, so that whatever links are in the way can lead nowhere else; and it
 * needs no program in the container. Still no link is followed but in the path that was asked for. Exit: 0, 1 failed, 3 something was left out.
 */
#include "files.h"
#include <linux/capability.h>
#include <stdarg.h>
#include <sys/syscall.h>

static int result; /* what was left out so far */
char chunk[CHUNK];

void leave_out(const char *format, ...) {
	va_list list;
	va_start(list, format);
	vdprintf(STDERR_FILENO, format, list);
	va_end(list);
	dprintf(STDERR_FILENO, errno ? ": %s\n" : "\n", strerror(errno));
	result = LEFT_OUT;
}

_Noreturn void give_up(const char *what, const char *object) {
	dprintf(STDERR_FILENO, errno ? "%s %s: %s\n" : "%s %s\n", what, object, strerror(errno));
	_exit(FAILED);
}

/* argv: send|receive PATH NAME, checked by the caller. The process has become what an exec'd command would be, but for what an exec takes away. */
int run_files(char **argv) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};
	if (geteuid() != 0 && syscall(SYS_capset, &header, none) < 0) give_up("cannot give up", "capabilities");
	(strcmp(argv[0], "send") == 0 ? send_files : receive_files)(argv[1], argv[2]);
	return result;
}
