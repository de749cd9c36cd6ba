/* lvm-text: the metadata of a volume group alone, without the disk around it. */
#include "volume/lvm/lvm.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct lvm_vg vg;
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	if (lvm_vg_parse(text, size, &vg, &e) < 0)
		return 0;
	/* No PV is there: whatever is built ends in a reason, or is all zeroes. */
	if (lvm_vg_load(&vg, &e) == 0) {
		for (unsigned i = 0; i < vg.lv_count && i < 64; i++) {
			struct blk *b;
			struct err why = ERR_INIT;
			(void)lvm_lv_blk(&vg, &vg.lvs[i], 0, &b, &why);
		}
	}
	lvm_vg_free(&vg);
	return 0;
}
