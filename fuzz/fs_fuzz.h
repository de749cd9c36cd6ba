/* The body of every filesystem's fuzz target: open through the front, then read everything, bounded.
 *
 *	#include "fs_fuzz.h"
 *	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fs_fuzz(data, size); }
 *
 *	fuzz_targets += [['fat', files('fat_fuzz.c') + fs_fuzz_src, 'fs']]
 *
 * Inputs are as pieces.h takes them.
 */
#ifndef FUZZ_FS_FUZZ_H
#define FUZZ_FS_FUZZ_H

#include "blk/blk.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Always 0. */
int fs_fuzz(const uint8_t *data, size_t size);
/* The same for a filesystem of which b is one part. */
void fs_fuzz_devices(struct blk *b, struct blk *const *others, unsigned count);

#endif
