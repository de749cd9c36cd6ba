/* The manifest parser; what it accepts must be written and read back the same. */
#include "repository/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct manifest *m = NULL, *again = NULL;
	if (manifest_parse((const char *)data, size, &m, &e) < 0)
		return 0;
	struct buf b = BUF_INIT(2 * MANIFEST_SIZE_MAX);
	if (manifest_format(m, &b, &e) >= 0) {
		if (manifest_parse(buf_str(&b), b.len, &again, &e) < 0 || strcmp(m->backup_id, again->backup_id) != 0 ||
		    m->created_at != again->created_at || m->disk_count != again->disk_count)
			abort();
	} else if (e.code != ERR_INVALID && e.code != ERR_LIMIT) {
		abort();
	}
	buf_free(&b);
	manifest_free(again);
	manifest_free(m);
	return 0;
}
