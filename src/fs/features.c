#include "fs/features.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <inttypes.h>

enum { LIST_MAX = 240 };

static const char *name_of(uint32_t bit, const struct fs_feature *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].bit == bit)
			return names[i].name;
	return NULL;
}

int fs_features_unsupported(uint32_t bits, const struct fs_feature *names, size_t count, const char *module, struct err *e)
{
	CLEANUP(buf_free) struct buf list = BUF_INIT(LIST_MAX);
	for (unsigned i = 0; i < 32; i++) {
		uint32_t bit = UINT32_C(1) << i;
		if (!(bits & bit))
			continue;
		const char *name = name_of(bit, names, count);
		buf_adds(&list, list.len > 0 ? ", " : "");
		if (name)
			buf_adds(&list, name);
		else
			buf_addf(&list, "bit 0x%" PRIx32, bit);
	}
	return err_set(e, ERR_FS_UNSUPPORTED, module, "the filesystem uses features that cannot be read: %s", buf_str(&list));
}
