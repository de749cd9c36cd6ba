/* Inside the repository: paths as text. */
#ifndef REPOSITORY_PATH_H
#define REPOSITORY_PATH_H

#include "repository/repository.h"

enum { PATH_SHOWN_MAX = 200 };

/* ret (REPOSITORY_PATH_MAX bytes) = dir "/" name without "", "." and "..", relative. dir: "" for the root. False: it leads
 * above the root, is the root itself, or is too long. */
bool path_join(const char *dir, const char *name, char *ret);

/* The folder of a path, "" at the root. ret: REPOSITORY_PATH_MAX bytes. */
void path_folder(const char *path, char *ret);
const char *path_base(const char *path);
/* Bytes of a base name without its last suffix; the whole of one that starts with its only ".". */
size_t path_stem(const char *base);

/* The path for a message: one line, shortened. Returns ret (PATH_SHOWN_MAX bytes). */
const char *path_show(const char *path, char *ret);

/* RFC 3339, "2025-10-08T18:24:31Z", with or without fraction, with any zone, "T" or a space → microseconds since 1970 UTC. False
 * for times before that, after the year 9999, and for days that no month has. */
bool time_parse(const char *text, int64_t *ret);
/* The reverse, in UTC with six digits of microseconds; "" for what time_parse() cannot give. ret: CLOCK_RFC3339_MAX bytes. */
void time_format(int64_t t, char *ret);

/* Appends to a list of notes; the strings are copied. */
int notes_add(struct repository_notes *n, const char *path, const char *reason, struct err *e);

/* openat2 beneath the root; -1 and errno. flags as open. */
int open_beneath(const struct repository *r, const char *path, int flags);

struct repository {
	int root;             /* O_PATH */
	char *location;       /* as given, "//", "." and ".." removed: no "/" at its end, "" for "/" */
	char *real;           /* where that leads when links are followed; the same form */
	bool ours;            /* its folder belongs to this process: files are read without setting their access times */
};

#endif
