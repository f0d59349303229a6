/* Copying files out of and into a living container, as a tar stream: what both directions have in common. */
#ifndef TEPUI_FILES_H
#define TEPUI_FILES_H

#include "launcher.h"

enum { BLOCK = 512, CHUNK = 65536, LONGEST = 8192, FAILED = 1, LEFT_OUT = 3 };

struct header { /* POSIX ustar */
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[8], user[32], group[32], major[8], minor[8], prefix[155], zero[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

extern char chunk[CHUNK];

/* files.c */
void leave_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void give_up(const char *what, const char *object);

/* send_files.c, receive_files.c: to the end of the stream */
void send_files(const char *path, const char *name);
void receive_files(const char *path, const char *name);

#endif
