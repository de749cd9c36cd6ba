/* Parts of the target worker: the files that its client sends, and what it expects of answers. */
#ifndef FUZZ_WORKER_FUZZ_H
#define FUZZ_WORKER_FUZZ_H

#include "base/buf.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stdlib.h>

static inline void must(bool holds)
{
	if (!holds)
		abort();
}

/* --- worker_images.c --- */

enum worker_image {
	WORKER_RAW,                  /* fuzz/worker-disk */
	WORKER_QCOW2,                /* the same */
	WORKER_OVERLAY,              /* QCOW2 with nothing in it, over the former */
	WORKER_SEALED,               /* encrypted QCOW2 */
	WORKER_NO_DATA,              /* QCOW2 that waits for its data file */
	WORKER_VMDK,                 /* a descriptor */
	WORKER_EMPTY,
	WORKER_NULL,                 /* /dev/null */
	WORKER_IMAGES,
};

extern int worker_images[WORKER_IMAGES];
void worker_images_make(void);
/* A file with these bytes. */
int worker_file(const void *p, size_t len);

/* --- worker_answers.c: the client must be able to read an answer, to its end --- */

void check_answer(enum wire_type type, struct rdr *r);
/* The stream of LIST or SEARCH; counted: its head knows how many entries follow. */
void check_listing(const struct buf *entries, bool counted);

#endif
