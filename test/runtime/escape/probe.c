/*
 * The hostile program of the escape tests. It runs inside a container and says of each attempt how it ended, one line each: "NAME ok", or
 * "NAME ERRNO". Arguments are such that an attempt that got through the first gate changes nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, long result) {
	if (result >= 0) printf("%s ok\n", name);
	else printf("%s %s\n", name, strerrorname_np(errno));
	fflush(stdout);
}
#define TRY(name, ...) say(name, syscall(__VA_ARGS__))

/* In a child of its own: a filter may kill, and a new namespace must not change what follows. */
static void try_child(const char *name, long (*attempt)(void)) {
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		long result = attempt();
		_exit(result >= 0 ? 0 : errno);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) printf("%s %s\n", name, "EPERM");
	else errno = WEXITSTATUS(status), say(name, errno ? -1 : 0);
}

static unsigned long flag;
static long unshare_flag(void) { return syscall(SYS_unshare, flag); }
static long clone_flag(void) {
	long pid = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) _exit(0);
	return pid;
}
static long clone3_flag(void) {
	uint64_t args[11] = {flag, 0, 0, 0, SIGCHLD};
	long pid = syscall(SYS_clone3, args, 64);
	if (pid == 0) _exit(0);
	return pid;
}
#if defined(__x86_64__)
static long x32_mount(void) { return syscall(0x40000000 | SYS_mount, "none", "/tmp", "tmpfs", 0, 0); }
static long i386_unshare(void) {
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(310L), "b"((long)CLONE_NEWUSER) : "memory");
	errno = result < 0 ? (int)-result : 0;
	return result < 0 ? -1 : result;
}
#endif

static void syscalls(void) {
	static const struct { const char *name; unsigned long flag; } namespaces[] = {
		{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC},
		{"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}};
	char name[40], handle[64] = {0};
	for (unsigned i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
		flag = namespaces[i].flag;
		snprintf(name, sizeof name, "unshare-%s", namespaces[i].name), try_child(name, unshare_flag);
		snprintf(name, sizeof name, "clone-%s", namespaces[i].name), try_child(name, clone_flag);
		snprintf(name, sizeof name, "clone3-%s", namespaces[i].name), try_child(name, clone3_flag);
	}
	flag = 0x80; /* CLONE_NEWTIME */
	try_child("unshare-time", unshare_flag);
#if defined(__x86_64__)
	try_child("x32-mount", x32_mount);
	try_child("i386-unshare", i386_unshare);
#endif
	TRY("setns", SYS_setns, open("/proc/1/ns/mnt", O_RDONLY), 0);
	TRY("mount-tmpfs", SYS_mount, "none", "/tmp", "tmpfs", 0, 0);
	TRY("mount-proc", SYS_mount, "none", "/tmp", "proc", 0, 0);
	TRY("mount-cgroup", SYS_mount, "none", "/tmp", "cgroup", 0, "memory");
	TRY("mount-cgroup2", SYS_mount, "none", "/tmp", "cgroup2", 0, 0);
	TRY("mount-sysfs", SYS_mount, "none", "/tmp", "sysfs", 0, 0);
	TRY("remount-rw", SYS_mount, "none", "/", 0, 0x20 /* MS_REMOUNT */, 0);
	TRY("remount-usr", SYS_mount, "none", "/usr", 0, 0x1020 /* MS_REMOUNT|MS_BIND */, 0);
	TRY("umount-sys", SYS_umount2, "/proc/sys", 2);
	TRY("umount-kcore", SYS_umount2, "/proc/kcore", 2);
	TRY("pivot_root", SYS_pivot_root, ".", ".");
	TRY("fsopen", SYS_fsopen, "tmpfs", 0);
	TRY("fspick", SYS_fspick, AT_FDCWD, "/", 0);
	TRY("open_tree", SYS_open_tree, AT_FDCWD, "/", 1 /* CLONE */);
	TRY("move_mount", SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/run", 0);
	TRY("mount_setattr", SYS_mount_setattr, AT_FDCWD, "/", 0, handle, 32);
	TRY("bpf", SYS_bpf, 0, 0, 0);
	TRY("perf_event_open", SYS_perf_event_open, 0, 0, -1, -1, 0);
	TRY("kexec_load", SYS_kexec_load, 0, 1, 0, 0xffff);
#ifdef SYS_kexec_file_load
	TRY("kexec_file_load", SYS_kexec_file_load, -1, -1, 0, 0, 0);
#endif
	TRY("init_module", SYS_init_module, 0, 0, "");
	TRY("finit_module", SYS_finit_module, -1, "", 0);
	TRY("delete_module", SYS_delete_module, "", 0);
	TRY("keyctl", SYS_keyctl, 0, -3, 0);
	TRY("keyctl-join", SYS_keyctl, 1, 0);
	TRY("add_key", SYS_add_key, "user", "x", "x", 1, -3);
	TRY("request_key", SYS_request_key, "user", "x", 0, 0);
	TRY("userfaultfd", SYS_userfaultfd, 0);
	TRY("io_uring_setup", SYS_io_uring_setup, 0, 0);
	TRY("open_by_handle_at", SYS_open_by_handle_at, AT_FDCWD, handle, O_RDONLY);
	TRY("ptrace", SYS_ptrace, 0x4206 /* SEIZE */, 1, 0, 0);
	TRY("process_vm_readv", SYS_process_vm_readv, 1, 0, 0, 0, 0, 0);
	TRY("process_vm_writev", SYS_process_vm_writev, 1, 0, 0, 0, 0, 0);
	TRY("pidfd_getfd", SYS_pidfd_getfd, -1, 0, 0);
	TRY("kcmp", SYS_kcmp, 1, 1, 0, 0, 0);
	TRY("reboot", SYS_reboot, 0, 0, 0, 0);
	TRY("swapon", SYS_swapon, "/nowhere", 0);
	TRY("swapoff", SYS_swapoff, "/nowhere");
	TRY("acct", SYS_acct, "/nowhere");
	TRY("quotactl", SYS_quotactl, 0, 0, 0, 0);
	TRY("settimeofday", SYS_settimeofday, 0, 0);
	TRY("clock_settime", SYS_clock_settime, -99, 0);
	TRY("clock_adjtime", SYS_clock_adjtime, -99, 0);
	TRY("syslog-read", SYS_syslog, 3, handle, sizeof handle);
	TRY("sethostname", SYS_sethostname, "x", 1);
	TRY("setdomainname", SYS_setdomainname, "x", 1);
	TRY("fanotify_init", SYS_fanotify_init, 0, 0);
	TRY("vhangup", SYS_vhangup);
	TRY("move_pages", SYS_move_pages, 1, 0, 0, 0, 0, 0);
	TRY("personality", SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);
	TRY("socket-alg", SYS_socket, 38, SOCK_SEQPACKET, 0);
	TRY("socket-vsock", SYS_socket, 40, SOCK_STREAM, 0);
	TRY("socket-packet", SYS_socket, AF_PACKET, SOCK_RAW, 0);
	TRY("socket-raw", SYS_socket, AF_INET, SOCK_RAW, 1);
#if defined(__x86_64__)
	TRY("iopl", SYS_iopl, 3);
	TRY("ioperm", SYS_ioperm, 0, 1, 1);
#endif
	TRY("mknod-disk", SYS_mknodat, AT_FDCWD, "/tmp/disk", S_IFBLK | 0600, makedev(8, 0));
	TRY("mknod-dev-disk", SYS_mknodat, AT_FDCWD, "/dev/disk", S_IFBLK | 0600, makedev(8, 0));
	TRY("mknod-mem", SYS_mknodat, AT_FDCWD, "/dev/mem", S_IFCHR | 0600, makedev(1, 1));
	TRY("mknod-kmsg", SYS_mknodat, AT_FDCWD, "kmsg", S_IFCHR | 0600, makedev(1, 11));
}

/* Whether the standard input is the container's own: the mode and owner of the host's /dev/null must be out of reach. Changes nothing. */
static void standard_streams(void) {
	struct stat st, own;
	for (int fd = 0; fd < 3; fd++) {
		char name[32];
		if (fstat(fd, &st) < 0) continue;
		snprintf(name, sizeof name, "fd%d-type-%o", fd, (unsigned)(st.st_mode & S_IFMT));
		printf("%s %lu:%lu\n", name, (unsigned long)major(st.st_dev), (unsigned long)minor(st.st_dev));
	}
	if (fstat(0, &st) == 0 && S_ISCHR(st.st_mode)) {
		int same = stat("/dev/null", &own) == 0 && own.st_dev == st.st_dev && own.st_ino == st.st_ino;
		if (!same) say("stdin-chmod", fchmod(0, st.st_mode & 07777));
		if (!same) say("stdin-chown", fchown(0, st.st_uid, st.st_gid));
		printf("stdin-own %s\n", same ? "yes" : "no");
	}
}

static void descriptors(const char *pid) {
	char path[300], target[300];
	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	if (!dir) {
		say(path, -1);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		int fd = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || (strcmp(pid, "self") == 0 && fd == dirfd(dir))) continue;
		snprintf(path, sizeof path, "/proc/%s/fd/%d", pid, fd);
		ssize_t n = readlink(path, target, sizeof target - 1);
		target[n > 0 ? n : 0] = '\0';
		printf("descriptor %d %s\n", fd, n > 0 ? target : strerrorname_np(errno));
		if (fd > 2 && strcmp(pid, "self") == 0) say("fchdir", fchdir(fd));
	}
	closedir(dir);
}

static void connect_to(const char *name) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	memcpy(address.sun_path, name, length < sizeof address.sun_path ? length : sizeof address.sun_path);
	if (name[0] == '@') address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	say(name, connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)));
	close(fd);
}

/* Opens for writing what `path` leads to, by itself and through a descriptor that was opened for reading or as a path before. */
static void overwrite(const char *path) {
	char name[200], again[64];
	snprintf(name, sizeof name, "%s-write", path), say(name, open(path, O_WRONLY | O_CLOEXEC));
	int modes[] = {O_RDONLY, O_PATH};
	for (int i = 0; i < 2; i++) {
		int fd = open(path, modes[i] | O_CLOEXEC);
		if (fd < 0) continue;
		snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
		snprintf(name, sizeof name, "%s-%s-reopen", path, i ? "path" : "read"), say(name, open(again, O_WRONLY | O_CLOEXEC));
	}
	snprintf(name, sizeof name, "%s-truncate", path), say(name, truncate(path, 0));
	snprintf(name, sizeof name, "%s-chmod", path);
	struct stat st;
	if (stat(path, &st) == 0) say(name, chmod(path, st.st_mode & 07777));
}

/* The classic way out of a chroot: a working directory outside of the root, then up. Afterwards `path` of the host must not be there. */
static void chroot_escape(const char *path) {
	mkdir("jail", 0755);
	int before = open(".", O_RDONLY | O_DIRECTORY);
	if (chroot("jail") < 0) {
		say("chroot", -1);
		return;
	}
	if (fchdir(before) < 0) return;
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0) break;
	if (chroot(".") < 0) return;
	say("chroot-escape", access(path, F_OK));
}

/* As whom this program runs, and whether it can become root or get at capabilities. */
static void identity(void) {
	printf("real %u effective %u group %u\n", getuid(), geteuid(), getegid());
	if (geteuid() != 0) say("setuid-root", setresuid(0, 0, 0));
	if (getegid() != 0) say("setgid-root", setresgid(0, 0, 0));
	say("open-shadow", open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}

static void push_input(void) {
	int fd = open("/dev/tty", O_RDWR);
	char c = '\n';
	say("tiocsti-tty", fd < 0 ? -1 : ioctl(fd, TIOCSTI, &c));
	say("tiocsti-stdin", ioctl(0, TIOCSTI, &c));
	char sub[2] = {2, 0};
	say("tioclinux", ioctl(0, TIOCLINUX, sub));
	say("tiocsctty", ioctl(0, TIOCSCTTY, 1));
}

static void fork_bomb(void) {
	int made = 0;
	for (; made < 5000; made++) {
		pid_t pid = fork();
		if (pid < 0) break;
		if (pid == 0) {
			pause();
			_exit(0);
		}
	}
	printf("forks %d\n", made);
}

/* A file's project and the flag by which a directory hands its own on: what is there is written back, so nothing changes where that succeeds. */
static void projects(void) {
	static const uint64_t upper[] = {0, 1ull << 32, 0xffffffffull << 32};
	struct fsxattr attributes = {0};
	unsigned long flags = 0;
	char name[40];
	int fd = open("file", O_RDONLY | O_CREAT, 0644);
	say("open", fd);
	say("get-flags", ioctl(fd, FS_IOC_GETFLAGS, &flags));
	say("get-project", ioctl(fd, FS_IOC_FSGETXATTR, &attributes));
	for (unsigned i = 0; i < sizeof upper / sizeof *upper; i++) {
		snprintf(name, sizeof name, "set-flags-%u", i);
		say(name, syscall(SYS_ioctl, fd, FS_IOC_SETFLAGS | upper[i], &flags));
		snprintf(name, sizeof name, "set-project-%u", i);
		say(name, syscall(SYS_ioctl, fd, FS_IOC_FSSETXATTR | upper[i], &attributes));
	}
	/* file_setattr(2), in newer kernels. */
	say("set-attributes", syscall(469, AT_FDCWD, "file", &attributes, sizeof attributes, 0));
}

int main(int argc, char **argv) {
	const char *mode = argc > 1 ? argv[1] : "";
	if (strcmp(mode, "syscalls") == 0) syscalls();
	else if (strcmp(mode, "streams") == 0) standard_streams();
	else if (strcmp(mode, "descriptors") == 0) for (int i = 2; i < argc; i++) descriptors(argv[i]);
	else if (strcmp(mode, "connect") == 0) for (int i = 2; i < argc; i++) connect_to(argv[i]);
	else if (strcmp(mode, "overwrite") == 0) for (int i = 2; i < argc; i++) overwrite(argv[i]);
	else if (strcmp(mode, "chroot") == 0) chroot_escape(argv[2]);
	else if (strcmp(mode, "identity") == 0) identity();
	else if (strcmp(mode, "tty") == 0) push_input();
	else if (strcmp(mode, "projects") == 0) projects();
	else if (strcmp(mode, "forks") == 0) fork_bomb();
	else if (strcmp(mode, "crash") == 0) abort();
	else return 2;
	return 0;
}
