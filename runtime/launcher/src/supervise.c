/*
 * The supervisor: one small process per container, forked by `serve`, that outlives the agent and `serve` alike. It starts the
 * container's first process, writes its output to rotated log files, reaps, and records durably how it ended before anybody is told.
 */
#include "launcher.h"
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

/* Everything the supervisor keeps: the request's memory is given back once the container runs. */
static struct supervisor {
	struct log log[2];
	struct target target;
	int report, runtime, signals, record_dir, record_file, status, mounts;
	char id[MAX_ID + 1], record_name[NAME_MAX + 1], state_name[MAX_ID + 16], cgroup[PATH_MAX];
} self;
static char buffer[ATTACH_PIECE];

static bool drain_once(struct log *log) {
	ssize_t n = log->pipe < 0 ? 0 : RETRY(read(log->pipe, buffer, sizeof buffer));
	if (n > 0) {
		write_log(log, buffer, (size_t)n);
		attach_output(log == self.log ? 0 : 1, buffer, (size_t)n);
	}
	if (n == 0 && log->pipe >= 0) {
		close(log->pipe);
		log->pipe = -1;
	}
	return n > 0;
}

/*
 * The exit record's file is made now, filled with blanks: a disk that is full by then cannot lose how the container ended, and to write
 * over what is on the disk already is the cheapest durable write there is. An empty file that the caller made is taken, no other.
 */
static int make_exit_record(const char *path, struct failure *failure) {
	char blanks[MAX_RECORD];
	struct stat st;
	self.record_dir = open_parent(path, self.record_name);
	int fd = self.record_dir < 0 ? -1 : openat(self.record_dir, self.record_name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0) return fail(failure, "exitRecord", "cannot create the exit record %s", path);
	errno = EEXIST;
	if (!S_ISREG(st.st_mode) || st.st_size != 0 || st.st_nlink != 1) {
		close(fd);
		return fail(failure, "exitRecord", "cannot use the exit record %s", path);
	}
	self.record_file = fd;
	memset(blanks, ' ', sizeof blanks);
	return write_all(fd, blanks, sizeof blanks) < 0 ? fail(failure, "exitRecord", "cannot reserve room for the exit record %s", path) : 0;
}

/* On these, what makes a new file's content durable makes its name durable too: they log (or write) both together. */
static bool names_follow_content(int fd) {
	static const unsigned long known[] = {0xEF53 /* ext4 */, 0x58465342 /* xfs */, 0x9123683E /* btrfs */, 0xF2F52010 /* f2fs */, 0x01021994 /* tmpfs */};
	struct statfs fs;
	for (unsigned i = 0; fstatfs(fd, &fs) == 0 && i < sizeof known / sizeof *known; i++)
		if ((unsigned long)fs.f_type == known[i]) return true;
	return false;
}

/* One write of one sector: a reader sees all of the line or nothing, also after a power cut. Durable when it returns 0. */
static int write_exit_record(int dir_fd, int fd, const char *record) {
	char line[MAX_RECORD];
	memset(line, ' ', sizeof line);
	memcpy(line, record, strcspn(record, "\n"));
	line[sizeof line - 1] = '\n';
	if (pwrite(fd, line, sizeof line, 0) != sizeof line || fdatasync(fd) < 0) return -1;
	return names_follow_content(fd) ? 0 : fsync(dir_fd);
}

/* For serve, of a supervisor that is gone. A record counts with its end of line only; one that was not durable yet is made so. */
bool read_exit_record(const char *path, char record[MAX_RECORD + 1]) {
	char name[NAME_MAX + 1];
	CLEANUP_FD int dir = open_parent(path, name);
	CLEANUP_FD int file = dir < 0 ? -1 : openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t length = file < 0 ? -1 : RETRY(pread(file, record, MAX_RECORD, 0));
	if (length <= 0 || record[length - 1] != '\n') return false;
	record[length] = '\0';
	write_exit_record(dir, file, record);
	return true;
}

void replace_exit_record(const char *path, const char *record) {
	char name[NAME_MAX + 1];
	CLEANUP_FD int dir = open_parent(path, name);
	CLEANUP_FD int file = dir < 0 ? -1 : openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (file >= 0) write_exit_record(dir, file, record);
}

/* Of a launch that failed. What is neither empty nor blank is not of this launch. */
void drop_exit_record(const char *path) {
	char name[NAME_MAX + 1], first = ' ';
	CLEANUP_FD int dir = open_parent(path, name);
	CLEANUP_FD int file = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file >= 0 && pread(file, &first, 1, 0) >= 0 && first == ' ') unlinkat(dir, name, 0);
}

static int note_state(const struct request *request) {
	struct supervised state = {.supervisor = getpid(), .pid = self.target.pid, .supervisor_start = process_start(getpid(), false), .start = self.target.start,
		.flags = self.target.flags, .exit_record = request->exit_record, .cgroup = self.cgroup};
	return write_state(self.runtime, self.state_name, &state);
}

static int tell(const struct report *report) {
	return write_all(self.report, report, sizeof *report);
}

uint64_t namespace_flags(uint32_t flags) {
	static const struct {
		uint32_t flag;
		uint64_t clone;
	} map[] = {{NS_MOUNT, CLONE_NEWNS}, {NS_PID, CLONE_NEWPID}, {NS_IPC, CLONE_NEWIPC}, {NS_UTS, CLONE_NEWUTS}, {NS_NET, CLONE_NEWNET}};
	uint64_t result = 0; /* the cgroup namespace is made later, by the child */
	for (unsigned i = 0; i < sizeof map / sizeof *map; i++)
		if (flags & map[i].flag) result |= map[i].clone;
	return result;
}

/* Holding the mount namespace takes its dismantling (0.45 ms) out of the way between the end of the container and its announcement. */
static void hold_mounts(void) {
	char path[40];
	snprintf(path, sizeof path, "/proc/%d/ns/mnt", self.target.pid);
	self.mounts = self.target.flags & NS_MOUNT ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* The container's ends are in `child`; ours: the input's in `*input`, the socket on which a terminal's master comes in `*terminal`. */
static int open_streams(const struct request *request, struct child *child, int *input, int *terminal, struct failure *failure) {
	int pipe[2] = {-1, -1}, pair[2] = {-1, -1};
	bool tty = request->flags & WITH_TTY, open_input = !tty && request->flags & WITH_STDIN;
	for (int i = 0; i < 2; i++)
		if (open_log(&self.log[i], &request->sink[i], tty ? NULL : &child->stdio[i + 1], failure) < 0) return -1;
	if (open_input ? pipe2(pipe, O_CLOEXEC) < 0 : (pipe[0] = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		return fail(failure, "pipe", "cannot open the standard input");
	if (tty && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return fail(failure, "socketpair", "cannot make a way for the terminal");
	child->stdio[0] = pipe[0];
	if (tty) child->stdio[1] = child->stdio[2] = pipe[0];
	if (open_input) fcntl(pipe[1], F_SETFL, O_NONBLOCK);
	child->terminal_fd = pair[1];
	child->controlling_terminal = tty;
	*input = pipe[1];
	*terminal = pair[0];
	return 0;
}

/* Makes it possible to attach to what has a terminal or an open input. */
static int offer_attach(const struct request *request, int input, int terminal, struct failure *failure) {
	char name[MAX_ATTACH_NAME];
	int master = -1;
	if (!(request->flags & (WITH_TTY | WITH_STDIN))) return 0;
	if (terminal >= 0) {
		master = take_terminal(terminal);
		close(terminal);
		if (master < 0) return fail(failure, "tty", "the terminal did not come");
		self.log[0].pipe = fcntl(master, F_DUPFD_CLOEXEC, 3);
		input = fcntl(master, F_DUPFD_CLOEXEC, 3);
	}
	attach_name(&self.target, name);
	return attach_start(self.runtime, name, input, master, failure);
}

static int start(const struct request *request, struct failure *failure) {
	struct child child = {.request = request, .status_fd = -1, .foreign_fds = 2, .target_fd = -1, .user_fd = -1};
	int report[2], status[2] = {-1, -1}, input = -1, terminal = -1;
	CLEANUP_FD int into = *request->clone_into ? open(request->clone_into, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (*request->clone_into && into < 0) return fail(failure, "open", "cannot open the cgroup %s", request->clone_into);
	if (make_exit_record(request->exit_record, failure) < 0 || open_streams(request, &child, &input, &terminal, failure) < 0) return -1;
	child.parent_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	bool with_init = request->flags & WITH_INIT, tty = request->flags & WITH_TTY;
	if (request->pid && (child.target_fd = open_shared_process(request, failure)) < 0) return -1;
	if (request->joined & NS_PID && enter_shared_pids(request, child.target_fd, failure) < 0) return -1;
	if (request->flags & NS_USER && (child.user_fd = make_user_namespace(request, failure)) < 0) return -1;
	if (child.parent_fd < 0 || pipe2(report, O_CLOEXEC) < 0 || (with_init && pipe2(status, O_CLOEXEC) < 0))
		return fail(failure, "pipe", "cannot open what the container needs");
	child.report_fd = report[1];
	child.status_fd = status[1];
	self.status = status[0];
	self.target.pid = spawn(&(struct spawn){.flags = namespace_flags(request->flags), .cgroup_fd = into, .main = container_main, .argument = &child, .share_memory = !with_init && !(request->flags & WITH_PAUSE)});
	if (self.target.pid < 0) return fail(failure, "clone", "cannot make the container's namespaces");
	hold_mounts();
	self.target.start = process_start(self.target.pid, true);
	int ours[] = {child.stdio[0], tty ? -1 : child.stdio[1], tty ? -1 : child.stdio[2], child.terminal_fd, child.parent_fd, report[1], status[1],
		child.target_fd, child.user_fd};
	for (unsigned i = 0; i < sizeof ours / sizeof *ours; i++)
		if (ours[i] >= 0) close(ours[i]);
	int result = read_launch_result(report[0], failure);
	close(report[0]);
	return result < 0 ? -1 : offer_attach(request, input, terminal, failure);
}

/* Runs until the first process has ended; returns its wait status. Orphans come here too where there is no pid namespace. */
static int watch(void) {
	int status, result = -1;
	while (result < 0) {
		bool held = attach_held(); /* somebody who is attached has to take what was read already */
		struct pollfd polls[3 + MAX_ATTACH_POLLS] = {
			{self.signals, POLLIN, 0}, {held ? -1 : self.log[0].pipe, POLLIN, 0}, {held ? -1 : self.log[1].pipe, POLLIN, 0}};
		if (poll(polls, (nfds_t)(3 + attach_polls(polls + 3)), held ? 100 : -1) < 0) continue;
		attach_handle(polls + 3);
		for (int i = 0; i < 2; i++)
			if (polls[i + 1].revents && !attach_held()) drain_once(&self.log[i]);
		if (!polls[0].revents) continue;
		struct signalfd_siginfo info;
		(void)!read(self.signals, &info, sizeof info);
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0;)
			if (pid == self.target.pid) result = status;
	}
	return result;
}

static void drop_socket(void) {
	char name[MAX_ATTACH_NAME];
	attach_name(&self.target, name);
	if (self.target.flags & (WITH_TTY | WITH_STDIN)) unlinkat(self.runtime, name, 0);
}

static void finish(int status) {
	struct report report = {.kind = REPORT_EXITED, .pid = self.target.pid};
	char *record = report.failure.message;
	struct timespec now;
	/* Without a pid namespace nothing else ends the processes that the first one left behind. */
	if (!(self.target.flags & NS_PID)) {
		self.target.pid = 0;
		for (int i = 0; i < 1000 && signal_container(&self.target, SIGKILL) > 0; i++) {
			poll(NULL, 0, 2);
			while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) continue;
		}
	}
	/* Bounded: whoever may still write (no pid namespace, no cgroup) must not keep the end from being told. What was read before comes first. */
	attach_settle();
	for (int i = 0; i < 2; i++)
		for (int rounds = 0; rounds < 4096 && drain_once(&self.log[i]); rounds++) attach_settle();
	attach_end();
	/* The tiny init tells the command's status: its own cannot express a signal. Nothing came if it was killed itself. */
	if (self.status >= 0) (void)!read(self.status, &status, sizeof status);
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t dropped = self.log[0].dropped + self.log[1].dropped;
	int length = snprintf(record, sizeof report.failure.message, "{\"containerId\":\"%s\",\"%s\":%d,\"finishedAtMs\":%lld", self.id,
		WIFSIGNALED(status) ? "signal" : "exitCode", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		(long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	if (dropped) length += snprintf(record + length, 64, ",\"droppedLogBytes\":%llu", (unsigned long long)dropped);
	strcpy(record + length, "}\n");
	int tries = 0;
	while (write_exit_record(self.record_dir, self.record_file, record) < 0) {
		if (++tries == 300) { /* 30 s: better told than never, and said so */
			strcpy(record + length, ",\"notDurable\":true}\n");
			break;
		}
		poll(NULL, 0, 100);
	}
	tell(&report); /* nobody there: whoever comes later reads the record */
	unlinkat(self.runtime, self.state_name, 0);
	drop_socket();
}

static void become_supervisor(void) {
	sigset_t mask;
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	self.signals = signalfd(-1, &mask, SFD_CLOEXEC);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_NAME, "tepui-super");
}

static _Noreturn void give_up(struct report *report) {
	unlinkat(self.runtime, self.state_name, 0); /* first: nobody is to find a container that is about to end */
	drop_socket();
	if (self.target.pid > 0) {
		kill(self.target.pid, SIGKILL);
		waitpid(self.target.pid, NULL, __WALL);
	}
	if (self.record_file >= 0) unlinkat(self.record_dir, self.record_name, 0);
	report->kind = REPORT_FAILED;
	tell(report);
	_exit(1);
}

_Noreturn void supervise(struct request *request, void *frame, size_t frame_size, int report_fd, int runtime_fd) {
	struct report report = {.failure.op = -1};
	/* Nothing of serve's but the report and the runtime directory stays open. */
	report_fd = fcntl(report_fd, F_DUPFD, 5);
	runtime_fd = fcntl(runtime_fd, F_DUPFD, 5);
	self.report = dup3(report_fd, 3, O_CLOEXEC);
	self.runtime = dup3(runtime_fd, 4, O_CLOEXEC);
	close_range(5, ~0U, 0);
	self.record_dir = self.record_file = self.status = self.mounts = -1;
	become_supervisor();
	snprintf(self.id, sizeof self.id, "%s", request->container);
	snprintf(self.state_name, sizeof self.state_name, "containers/%s", self.id);
	request_cgroup(request, self.cgroup);
	self.target.cgroup = self.cgroup;
	self.target.flags = request->flags;
	bool started = start(request, &report.failure) == 0;
	if (started && note_state(request) < 0) started = fail(&report.failure, "state", "cannot write the state file") == 0;
	if (!started) give_up(&report);
	munmap(frame, frame_size);
	report.kind = REPORT_STARTED;
	report.pid = self.target.pid;
	report.start = self.target.start;
	/* A serve that died before it heard of this container leaves nobody who knows of it: then it must not live. */
	if (tell(&report) < 0) give_up(&report);
	/* While the container runs: its end then finds the file on the disk, and pays for one sector only. */
	fdatasync(self.record_file);
	finish(watch());
	_exit(0);
}
