/* Making and removing entries of a directory tree below one root, whatever is already in it: for image layers. */
#ifndef TEPUI_TREE_H
#define TEPUI_TREE_H

#include "launcher.h"
#include <sys/stat.h>

struct tree {
	int root;
	/* The directory used last: entries of one directory come together. */
	int parent_fd;
	char parent[PATH_MAX];
	/* Subtrees that wait for removal have names made of these. */
	uint64_t nonce;
	unsigned removals;
};

struct place {
	int dir; /* owned by the tree: valid until the next call that looks a path up */
	const char *name; /* in the path that was looked up; "." for the root */
};

enum way { WAY_FREE, WAY_DIRECTORY, WAY_WHITEOUT };

/* All return -1 with errno. Paths are relative to the root, without "." and ".." parts and doubled slashes; "" is the root. */
int tree_open(struct tree *tree, const char *root);
int tree_locate(struct tree *tree, const char *path, bool make, struct place *place);
/* Makes room for a new entry: removes what is there, except a directory when `keep_directory`. Returns what was there (enum way). */
int tree_clear(struct tree *tree, const struct place *place, bool keep_directory);
/* Removes an entry with everything below it, never following links, however deep it is. What does not exist is gone. */
int tree_remove(struct tree *tree, int dir, const char *name);
/* A directory that hides what lower layers have below it. */
int make_opaque(int fd);
bool is_whiteout(const struct stat *st);
#endif
