/* Features of a filesystem that are bits of its superblock, where it has those that no driver here reads. */
#ifndef FS_FEATURES_H
#define FS_FEATURES_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct fs_feature {
	uint32_t bit;
	const char *name;
};

/* ERR_FS_UNSUPPORTED, with the names of the bits, or their numbers. */
int fs_features_unsupported(uint32_t bits, const struct fs_feature *names, size_t count, const char *module, struct err *e);

#endif
