/* foreign: the inside of sendense-imagehelper: starts qemu-nbd on an image in a format of somebody else, read-only and confined,
 * and sees to it that it ends when nobody needs it any more.
 *
 *	client ── control ── sendense-imagehelper ── fork ──▶ confine ─▶ exec qemu-nbd ── NBD ── sendense-worker-nbd
 *
 * The helper itself reads no byte of the image. What reads them, qemu-nbd, has nothing but the image's descriptors, opened for
 * reading; every path but theirs and the system's libraries is denied, so a name in an image leads nowhere. */
#ifndef FOREIGN_FOREIGN_H
#define FOREIGN_FOREIGN_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The process's exit status (wire/imagehelper.h). */
int foreign_main(int argc, char **argv);

/* --- spec.c --- */

enum { FOREIGN_SPEC_MAX = 96 << 10 };    /* one argument of a program has at most 128 KiB */

/* What qemu-nbd is told to open: a "json:" name. overlay_fd: of foreign_overlay(), used for VHDX. ERR_INVALID: no such format. */
int foreign_spec(const char *format, int file_fd, int overlay_fd, char ret[FOREIGN_SPEC_MAX], struct err *e);

/* The same for a chain of QCOW2 images with encrypted layers, which are all there is: no name in them is followed. layers: a
 * letter each (enum imagehelper_layer), their descriptors from first_fd on. The passphrase is the secret FOREIGN_SECRET. ERR_INVALID, ERR_LIMIT. */
#define FOREIGN_SECRET "key"
int foreign_chain_spec(const char *layers, int first_fd, char ret[FOREIGN_SPEC_MAX], struct err *e);

/* An empty QCOW2 image of `size` bytes in memory. VHDX is opened for writing on top of it, so that its log is replayed, into
 * memory, and the file stays as it is. */
int foreign_overlay(uint64_t size, struct err *e);

/* --- confine.c --- */

struct foreign_walls {
	const char *program;             /* the one that may be started: the same pointer goes to execve */
	int first_fd;                    /* the image's files */
	unsigned files;
};

/* Gives up everything but what qemu-nbd needs; to be called in the process that becomes it. ERR_SANDBOX. */
int foreign_confine(const struct foreign_walls *w, struct err *e);

#endif
