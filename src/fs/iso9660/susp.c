#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"

#include <inttypes.h>

enum { CE_SIZE = 28, ENTRY_MIN = 4 };

struct continuation {
	uint64_t off;
	uint64_t len;                /* 0: none */
};

/* SUSP 5.1 */
static void take_ce(const struct iso_fs *x, const uint8_t *p, size_t len, struct continuation *ret)
{
	if (len < CE_SIZE)
		return;
	ret->off = (uint64_t)get_le32(p + 4) * x->vol.block_size + get_le32(p + 12);
	ret->len = get_le32(p + 20);
}

/* The entries of one area; *ret_next is where it goes on. */
static void walk_area(const struct iso_fs *x, const uint8_t *p, size_t len, iso_susp_fn *fn, void *arg,
                      struct continuation *ret_next)
{
	while (len >= ENTRY_MIN) {
		size_t n = p[2];
		/* What is no entry, is padding or another's use of the area. */
		if (n < ENTRY_MIN || n > len || memcmp(p, "ST", 2) == 0)
			return;
		if (memcmp(p, "CE", 2) == 0)
			take_ce(x, p, n, ret_next);
		else
			fn(arg, p, n);
		p += n;
		len -= n;
	}
}

int iso_susp_walk(struct iso_fs *x, const uint8_t *area, size_t len, iso_susp_fn *fn, void *arg, struct err *e)
{
	for (unsigned links = 0;; links++) {
		struct continuation next = {0};
		walk_area(x, area, len, fn, arg, &next);
		if (next.len == 0)
			return 0;
		if (links == ISO_CE_LINKS_MAX)
			return err_set(e, ERR_FILE_CORRUPT, "iso9660", "its Rock Ridge entries go on in more than %d places",
			               ISO_CE_LINKS_MAX);
		if (next.len > ISO_CE_SIZE_MAX)
			return err_set(e, ERR_FILE_CORRUPT, "iso9660",
			               "its Rock Ridge entries go on for %" PRIu64 " bytes, more than is possible", next.len);
		if (!x->continuation)
			x->continuation = malloc(ISO_CE_SIZE_MAX);
		if (!x->continuation)
			return err_no_memory(e, "iso9660");
		int r = iso_read(x, next.off, x->continuation, (size_t)next.len, e);
		if (r < 0)
			return r;
		area = x->continuation;
		len = (size_t)next.len;
	}
}
