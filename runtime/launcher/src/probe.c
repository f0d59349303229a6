/*
 * One-shot roles that look at, or prepare, a directory's file system. `probe DIR`: what it and the kernel can do, one line each, "NAME ok" or
 * "NAME REASON"; DIR is empty and stays so. `flatten DIR LAYER...`: copies what an overlay of the layers (the uppermost first) shows to DIR/root, for
 * file systems that overlay cannot write to. Both work in a mount namespace of their own, so nothing stays mounted.
 */
#include "launcher.h"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { PROBED_ID = 1879048192, PROBED_IDS = 65536 };

static int complain(const char *what, const char *object) {
	fprintf(stderr, "tepui-launcher: cannot %s %s: %s\n", what, object, strerror(errno));
	return 1;
}

static int separate_mounts(void) {
	return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? complain("make", "a mount namespace") : 0;
}

static bool tell(const char *name, int result, const struct failure *failure) {
	if (result >= 0) printf("%s ok\n", name);
	else printf("%s %s\n", name, failure->message);
	return result >= 0;
}

static int try_idmap(struct world *w, const char *directory) {
	CLEANUP_FD int tree = clone_tree(AT_FDCWD, directory, false);
	return tree < 0 ? failed(w, "open_tree", "clone the mount of", directory) : map_ids(w, tree, false, directory);
}

/* An overlay of one layer with changes, mounted on DIR/root and taken away again. */
static int try_overlay(struct world *w, const char *directory, unsigned flags) {
	char layers[PATH_MAX], root[PATH_MAX];
	int length = snprintf(layers, sizeof layers, "%s/layer", directory);
	snprintf(root, sizeof root, "%s/root", directory);
	struct op op = {.code = OP_OVERLAY, .text = {root, directory}, .number = {flags, 0755}, .blob = (const uint8_t *)layers, .blob_length = (uint32_t)length + 1};
	if ((mkdir(layers, 0755) < 0 || mkdir(root, 0755) < 0) && errno != EEXIST) return failed(w, "mkdir", "make directories in", directory);
	int result = do_overlay(w, &op);
	while (umount2(root, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
	return result;
}

static void empty(const char *directory) {
	static const char *names[] = {"work/work/incompat/volatile/dirty", "work/work/incompat/volatile", "work/work/incompat", "work/work", "work/index", "work", "upper", "layer", "root"};
	CLEANUP_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (unsigned i = 0; fd >= 0 && i < sizeof names / sizeof *names; i++) if (unlinkat(fd, names[i], AT_REMOVEDIR) < 0) unlinkat(fd, names[i], 0);
}

static int probe(const char *directory) {
	struct request request = {.uids = {PROBED_ID, PROBED_IDS}, .gids = {PROBED_ID, PROBED_IDS}};
	struct child child = {.request = &request, .user_fd = -1, .target_fd = -1};
	struct world w = {.child = &child, .request = &request, .failure.op = -1, .empty = -1, .oom_fd = -1};
	if (separate_mounts() != 0) return 1;
	w.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	empty(directory);
	tell("overlay", try_overlay(&w, directory, 0), &w.failure);
	empty(directory);
	child.user_fd = make_user_namespace(&request, &w.failure);
	if (tell("userNamespace", child.user_fd, &w.failure) && tell("idmap", try_idmap(&w, directory), &w.failure))
		tell("idmappedOverlay", try_overlay(&w, directory, MF_IDMAP), &w.failure);
	empty(directory);
	return 0;
}

static int flatten(const char *directory, char **layers, int count) {
	char *paths = NULL, merged[PATH_MAX], copy[PATH_MAX];
	size_t length = 0;
	FILE *out = open_memstream(&paths, &length);
	if (!out) return complain("use", "memory");
	for (int i = 0; i < count; i++) fwrite(layers[i], 1, strlen(layers[i]) + 1, out);
	fclose(out);
	struct request request = {0};
	struct child child = {.request = &request, .user_fd = -1, .target_fd = -1};
	struct world w = {.child = &child, .request = &request, .failure.op = -1, .empty = -1, .oom_fd = -1};
	snprintf(merged, sizeof merged, "%s/merged", directory);
	snprintf(copy, sizeof copy, "%s/root", directory);
	/* The next agent removes the copy that this one does not live to see: nobody may be making it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (separate_mounts() != 0) return 1;
	if (mkdir(merged, 0700) < 0 && errno != EEXIST) return complain("make", merged);
	w.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct op op = {.code = OP_OVERLAY, .text = {merged, ""}, .number = {MF_RO, 0755}, .blob = (const uint8_t *)paths, .blob_length = (uint32_t)length};
	if (do_overlay(&w, &op) < 0) {
		fprintf(stderr, "tepui-launcher: %s\n", w.failure.message);
		return 1;
	}
	/* -T: the directory itself, not into it. Everything is kept: owners, times, links, extended attributes. */
	execlp("cp", "cp", "-aT", "--reflink=auto", merged, copy, (char *)NULL);
	return complain("execute", "cp");
}

static bool plain(const char *path) {
	return path[0] == '/' && strlen(path) < PATH_MAX - 64 && !strstr(path, "/../");
}

/* `arguments` starts with the role. */
int run_probe(int count, char **arguments) {
	bool probing = strcmp(arguments[0], "probe") == 0, valid = probing ? count == 2 : count >= 3 && count <= MAX_LAYERS + 2;
	for (int i = 1; valid && i < count; i++) valid = plain(arguments[i]);
	if (!valid) {
		fprintf(stderr, "usage: tepui-launcher probe DIRECTORY | flatten DIRECTORY LAYER...\n");
		return 2;
	}
	umask(0);
	return probing ? probe(arguments[1]) : flatten(arguments[1], arguments + 2, count - 2);
}
