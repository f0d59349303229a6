/*
 * tepui-launcher: starts, supervises and enters containers. Roles: `serve DIR` (resident), `exec` (one command in a living container), `dial`
 * (one connection inside a container's network), `hold` and `unhold` (namespaces without a process), `devices` (what a cgroup may open), `rootless` (root
 * of a user namespace),
 * `decode-check` (feeds frames to the decoder: for tests), `version`. See ../PROTOCOL.md.
 */
#include "launcher.h"
#include <dirent.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

int fail(struct failure *failure, const char *step, const char *format, ...) {
	int err = errno;
	va_list list;
	failure->err = err;
	snprintf(failure->step, sizeof failure->step, "%s", step);
	va_start(list, format);
	int used = vsnprintf(failure->message, sizeof failure->message, format, list);
	va_end(list);
	if (err && used >= 0 && (size_t)used < sizeof failure->message)
		snprintf(failure->message + used, sizeof failure->message - (size_t)used, ": %s", strerror(err));
	errno = err;
	return -1;
}

uint64_t clock_ms(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int write_all(int fd, const void *data, size_t length) {
	const char *at = data;
	while (length > 0) {
		ssize_t n = RETRY(write(fd, at, length));
		if (n < 0) return -1;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

/* Opens the directory that holds `path` and gives the last part, so that the file itself can be opened without following symlinks. */
int open_parent(const char *path, char name[NAME_MAX + 1]) {
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (!slash || !slash[1] || strlen(slash + 1) > NAME_MAX - 8 || strlen(path) >= sizeof dir) {
		errno = EINVAL;
		return -1;
	}
	strcpy(name, slash + 1);
	snprintf(dir, sizeof dir, "%.*s/", (int)(slash - path), path);
	return (int)RETRY(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

uint64_t process_start(pid_t pid, bool also_zombie) {
	char path[32], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : RETRY(read(fd, text, sizeof text - 1));
	if (length <= 0) return 0;
	text[length] = '\0';
	/* The command's name may hold anything: the fields that count are behind its last ')'. */
	char *at = strrchr(text, ')');
	if (!at || at[1] != ' ' || (!also_zombie && (at[2] == 'Z' || at[2] == 'X'))) return 0;
	for (int field = 2; field < 22; field++) {
		at = strchr(at + 1, ' ');
		if (!at) return 0;
	}
	return strtoull(at + 1, NULL, 10);
}

static bool same_pid_namespace(pid_t pid, const struct stat *wanted) {
	char path[40];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
	return stat(path, &st) == 0 && st.st_ino == wanted->st_ino && st.st_dev == wanted->st_dev;
}

/* Signals what a cgroup.procs file lists; returns how many there were. */
static int signal_listed(const char *path, int signal, pid_t except) {
	FILE *file = fopen(path, "re");
	int count = 0, pid;
	if (!file) return 0;
	while (fscanf(file, "%d", &pid) == 1) {
		if (pid <= 1 || pid == except || pid == getpid()) continue;
		if (kill(pid, signal) == 0) count++;
	}
	fclose(file);
	return count;
}

static int signal_namespace(const struct target *target, int signal, pid_t except) {
	char path[40];
	struct stat wanted;
	int count = 0;
	snprintf(path, sizeof path, "/proc/%d/ns/pid", target->pid);
	DIR *proc = stat(path, &wanted) == 0 ? opendir("/proc") : NULL;
	if (!proc) return 0;
	for (struct dirent *entry; (entry = readdir(proc));) {
		pid_t pid = atoi(entry->d_name);
		if (pid > 1 && pid != except && same_pid_namespace(pid, &wanted) && kill(pid, signal) == 0) count++;
	}
	closedir(proc);
	return count;
}

/*
 * Signals every process of a container and returns how many there were. SIGKILL: the first process of a pid namespace takes all others
 * with it; cgroup.kill likewise; without both, rounds are made until one finds nobody (killed processes leave the list as they exit).
 * Other signals skip the tiny init, which would forward them a second time.
 */
int signal_container(const struct target *target, int signal) {
	char path[PATH_MAX];
	int count = 0;
	bool alive = target->pid > 0 && process_start(target->pid, false) == target->start;
	pid_t except = alive && signal != SIGKILL && target->flags & WITH_INIT ? target->pid : 0;
	if (alive && target->flags & NS_PID && signal == SIGKILL) return kill(target->pid, SIGKILL) == 0;
	if (!*target->cgroup) {
		if (!alive) return 0;
		return target->flags & NS_PID ? signal_namespace(target, signal, except) : kill(target->pid, signal) == 0;
	}
	if (signal == SIGKILL) {
		snprintf(path, sizeof path, "%s/cgroup.kill", target->cgroup);
		CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0) (void)!write(fd, "1", 1);
	}
	snprintf(path, sizeof path, "%s/cgroup.procs", target->cgroup);
	for (int round = 0; round < (signal == SIGKILL ? 100 : 1); round++) {
		int found = signal_listed(path, signal, except);
		if (found == 0) break;
		count += found;
	}
	return count;
}

static pid_t clone_on_stack(struct clone_args *args, int (*main)(void *), void *argument) {
#if defined(__x86_64__)
	long result;
	register void *r8 __asm__("r8") = (void *)main;
	register void *r9 __asm__("r9") = argument;
	__asm__ volatile(
		"syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tmov %%r9, %%rdi\n\tcall *%%r8\n\t"
		"mov %%eax, %%edi\n\tmov $231, %%eax\n\tsyscall\n1:"
		: "=a"(result)
		: "0"((long)SYS_clone3), "D"(args), "S"(sizeof *args), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory", "cc");
#elif defined(__aarch64__)
	register long result __asm__("x0") = (long)args;
	register long x1 __asm__("x1") = sizeof *args;
	register long x8 __asm__("x8") = SYS_clone3;
	register void *x10 __asm__("x10") = (void *)main;
	register void *x11 __asm__("x11") = argument;
	__asm__ volatile(
		"svc #0\n\tcbnz x0, 1f\n\tmov x29, xzr\n\tmov x0, x11\n\tblr x10\n\tmov x8, #94\n\tsvc #0\n1:"
		: "+r"(result)
		: "r"(x1), "r"(x8), "r"(x10), "r"(x11)
		: "memory", "cc");
#else
#define NO_SHARED_MEMORY 1
	(void)args, (void)main, (void)argument;
	long result = -ENOSYS;
#endif
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return (pid_t)result;
}

/* clone3, as fork or (0.3 ms cheaper) vfork-style: the child borrows this process's memory, on a stack of its own, until it execs. */
pid_t spawn(const struct spawn *spawn) {
	enum { STACK = 256 << 10 };
	struct clone_args args = {.flags = spawn->flags, .exit_signal = SIGCHLD};
	if (spawn->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)spawn->cgroup_fd;
	}
#if !defined(NO_SHARED_MEMORY)
	if (spawn->share_memory) {
		void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		if (stack == MAP_FAILED) return -1;
		args.flags |= CLONE_VM | CLONE_VFORK;
		args.stack = (uintptr_t)stack;
		args.stack_size = STACK;
		pid_t pid = clone_on_stack(&args, spawn->main, spawn->argument);
		int err = errno;
		munmap(stack, STACK);
		errno = err;
		if (pid >= 0 || err != ENOSYS || spawn->flags || spawn->cgroup_fd >= 0) return pid;
		/* A system call filter that is in force already (no_new_privs off) does not know clone3: a plain fork does here. */
		pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (pid == 0) _exit(spawn->main(spawn->argument));
		return pid;
	}
#endif
	(void)clone_on_stack;
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0) _exit(spawn->main(spawn->argument));
	return pid;
}

/*
 * Runs this program again from a sealed copy in memory. A container that gets hold of /proc/PID/exe of a supervisor, an init or an exec
 * can then neither write to it nor reach the file on disk (CVE-2019-5736). Where it cannot be done, being non-dumpable still protects.
 */
static void enter_sealed_copy(char **argv) {
	enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
	CLEANUP_FD int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	int seals = fcntl(self, F_GET_SEALS); /* -1: an ordinary file */
	if ((seals > 0 && (seals & SEALS) == SEALS) || fstat(self, &st) < 0) return;
	/* MFD_EXEC (16) is known since 6.3, where it may be required. */
	CLEANUP_FD int copy = memfd_create("tepui-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING | 16U);
	if (copy < 0) copy = memfd_create("tepui-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0) return;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = RETRY(sendfile(copy, self, NULL, (size_t)left));
		if (n <= 0) return;
		left -= n;
	}
	if (fcntl(copy, F_ADD_SEALS, SEALS) == 0) fexecve(copy, argv, environ);
}

/* Reads length-prefixed frames and says of each whether it decodes. Whatever comes in, this must end normally. */
static int decode_check(void) {
	uint32_t length;
	while (fread(&length, 1, 4, stdin) == 4 && length <= MAX_FRAME) {
		uint8_t *frame = malloc(length * 3ULL + 64);
		struct request request;
		struct failure failure = {0};
		if (!frame || fread(frame, 1, length, stdin) != length) {
			free(frame);
			break;
		}
		if (decode_request(frame, length, &request, &failure) == 0) printf("ok %u\n", request.op_count);
		else printf("refused %d %s\n", failure.op, failure.message);
		free(frame);
	}
	return 0;
}


#if defined(__SANITIZE_ADDRESS__)
/* Tests only: a non-dumpable process cannot be searched for leaks, and the resident launcher has no standard error. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
	return "detect_leaks=0:log_path=/tmp/tepui-launcher-asan";
}
#endif

int main(int argc, char **argv) {
	const char *role = argc > 1 ? argv[1] : "";
	find_arguments(argc, argv);
	if (strcmp(role, "version") == 0) return printf("tepui-launcher %s protocol %d\n", BUILD_ID, PROTOCOL_VERSION) < 0;
	if (strcmp(role, "decode-check") == 0) return decode_check();
	if (strcmp(role, "hold") == 0 || strcmp(role, "unhold") == 0) return run_hold(argv + 1);
	if (strcmp(role, "probe") == 0 || strcmp(role, "flatten") == 0) return run_probe(argc - 1, argv + 1);
	if (strcmp(role, "rootless") == 0) return run_rootless(argc - 1, argv + 1);
	if (strcmp(role, "quota") == 0) return run_quota(argc - 1, argv + 1);
	if (strcmp(role, "devices") == 0 && argc == 3) return run_devices(argv[2]);
	if (strcmp(role, "unpack") == 0 || strcmp(role, "remove") == 0 || strcmp(role, "sync") == 0) return run_unpack(argc, argv);
	bool serving = (strcmp(role, "serve") == 0 || strcmp(role, "replace") == 0) && argc >= 3 && argc % 2 == 1, dialling = strcmp(role, "dial") == 0;
	bool initial = strcmp(role, "init") == 0 && argc > 2;
	if (!serving && !dialling && !initial && strcmp(role, "exec") != 0) {
		fprintf(stderr, "usage: tepui-launcher serve|replace DIRECTORY [MOUNT CGROUP]... | exec | dial | hold | unhold | quota | devices DIRECTORY | probe DIRECTORY | flatten DIRECTORY LAYER... | unpack DIRECTORY | rootless new|join ... | init COMMAND | decode-check | version\n");
		return 2;
	}
	/* 1. Nobody may trace us or open our memory and descriptors through /proc, from here to the command's exec. */
	prctl(PR_SET_DUMPABLE, 0);
	/* Nothing of a dialler is ever in a container but its socket: it needs no copy of its program. */
	if (dialling) return run_dial(argc - 2, argv + 2);
	/* 2. Nobody may reach or change our program file through /proc/PID/exe. The copy starts dumpable again: main comes here again. */
	enter_sealed_copy(argv);
	if (initial) return run_init_role(argv + 2);
	/* 3. A descriptor without close-on-exec that we were started with must not end up in a container. Exec has its three more. */
	close_range(serving ? 3 : 6, ~0U, 0);
	return serving ? start_serving(argv + 1) : run_exec();
}
