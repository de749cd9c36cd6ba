/* A file on its way: NAME.part until it is complete, then NAME. Beside it, for resuming, NAME.part.etag holds the
 * entity tag of what the bytes belong to. What is under NAME is always whole. */
#ifndef CLIENT_PART_H
#define CLIENT_PART_H

#include "base/err.h"
#include "client/call.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct part {
	char *path, *part, *tag;         /* owned */
	int fd;                          /* of NAME.part, locked; for PART_STDOUT standard output */
	bool replace, to_stdout;
	uint64_t at;                     /* the next byte's offset */
};

#define PART_INIT ((struct part){.fd = -1})

/* path "-": standard output. replace: a NAME that exists is replaced at the end, otherwise an error, now or then. */
int part_open(struct part *p, const char *path, bool replace, struct err *e);
/* How many bytes are there, and to which entity they belong; 0: nothing to go on with. */
uint64_t part_kept(const struct part *p, char ret_etag[CALL_ETAG_MAX]);
/* Begins with the first byte, of this entity. etag "": it cannot be resumed. */
int part_begin(struct part *p, const char *etag, struct err *e);
/* Goes on at `at`, which part_kept has. */
int part_resume(struct part *p, uint64_t at, struct err *e);
int part_write(struct part *p, const void *data, size_t len, struct err *e);
/* Complete: mode and mtime (NULL: now) are set, the bytes are on the disk, the name is the final one. */
int part_finish(struct part *p, mode_t mode, const struct timespec *mtime, struct err *e);
/* Removes NAME.part. */
void part_discard(struct part *p);
void part_close(struct part *p);

#endif
