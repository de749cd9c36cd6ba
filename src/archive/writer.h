/* What archive.c asks of a format. The front has checked names, types, runs, and that the bytes add up. */
#ifndef ARCHIVE_WRITER_H
#define ARCHIVE_WRITER_H

#include "archive/out.h"

struct writer {
	/* An entry begins. ERR_INVALID: refused, nothing was written. */
	int (*entry)(void *w, const struct archive_entry *en, struct err *e);
	int (*data)(void *w, const void *p, size_t len, struct err *e);
	/* All announced bytes of a file arrived; `left`: that many did not, their source failed. */
	int (*end)(void *w, uint64_t left, struct err *e);
	int (*finish)(void *w, struct err *e);
	void (*close)(void *w);
};

/* `o` stays the caller's. */
int tar_open(const struct archive_options *opt, struct out *o, void **ret, struct err *e);
int zip_open(const struct archive_options *opt, struct out *o, void **ret, struct err *e);
extern const struct writer tar_writer, zip_writer;

#endif
