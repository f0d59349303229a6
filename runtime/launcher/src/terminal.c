/*
 * Pseudo-terminals, of the container's own devpts (of the host's only for an OCI runtime, which makes the container's). Its files are not trusted:
 * what was opened must be the real thing. For a container its first process opens the terminal (the devpts exists in its mount namespace only)
 * and hands the master to the supervisor over a socket.
 */
#include "launcher.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* The master is non-blocking. Returns the terminal itself, or -1. */
int open_terminal(unsigned columns, unsigned rows, int *master, struct failure *failure) {
	struct stat st;
	struct statfs fs;
	int unlock = 0, terminal = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (terminal < 0 || fstat(terminal, &st) < 0 || fstatfs(terminal, &fs) < 0) return fail(failure, "tty", "cannot open the container's /dev/pts/ptmx");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || fs.f_type != 0x1cd1) {
		errno = ENOTTY;
		return fail(failure, "tty", "the container's /dev/pts/ptmx is no terminal multiplexer");
	}
	int peer = ioctl(terminal, TIOCSPTLCK, &unlock) < 0 ? -1 : open_peer(terminal);
	if (peer < 0) return fail(failure, "tty", "cannot open the terminal");
	resize_terminal(terminal, columns, rows);
	*master = terminal;
	return peer;
}

/* The kernel tells the foreground processes (SIGWINCH) when it is another size than before. */
void resize_terminal(int master, unsigned columns, unsigned rows) {
	struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
	ioctl(master, TIOCSWINSZ, &size);
}

int open_peer(int master) {
	return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* The operation `terminal`: from here on the standard streams are a terminal. */
int give_terminal(struct world *w) {
	enum { COLUMNS = 80, ROWS = 24 }; /* until somebody who attaches has another size */
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	CLEANUP_FD int master = -1;
	CLEANUP_FD int peer = open_terminal(COLUMNS, ROWS, &master, &w->failure);
	if (peer < 0) return -1;
	control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), &master, sizeof master);
	if (RETRY(sendmsg(w->child->terminal_fd, &message, MSG_NOSIGNAL)) != 1) return failed(w, "tty", "hand over", "the terminal");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(peer, fd) < 0) return failed(w, "dup2", "set up", "the terminal");
	return 0;
}

/* The supervisor's end; -1 when nothing was sent. */
int take_terminal(int socket) {
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	int master = -1;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	if (RETRY(recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)) != 1) return -1;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&master, CMSG_DATA(header), sizeof master);
	return master;
}
