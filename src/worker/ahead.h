/* ahead: has what will be read next brought into memory, while what came before is on its way to the client.
 *
 * The kernel reads ahead in the image file, where the next bytes of a guest's file need not be. Here it is told where they are. Compressed
 * and encrypted bytes are left alone, and so is what is in memory.
 */
#ifndef WORKER_AHEAD_H
#define WORKER_AHEAD_H

#include "fs/fs.h"

/* Of one file, or one run of it, that is read in order; {0} to begin with. */
struct ahead {
	uint64_t begin;                  /* where the reading began */
	uint64_t told;                   /* up to here the kernel knows */
	bool begun;
};

/* The bytes of f before `next` were read; those up to `end` will be. Wants the gate. Whatever goes wrong is left for reading to find. */
void ahead_file(struct ahead *a, struct fs_file *f, uint64_t next, uint64_t end);

#endif
