#include "archive/deflate.h"

#include "base/bytes.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

enum {
	STORED_MAX = 65535,
	STORED_HEADER = 5,
	TINY = 16,                       /* nothing this short gets shorter */
};

struct deflate {
	struct isal_zstream stream;
	uint8_t level[ISAL_DEF_LVL3_DEFAULT];
};

struct deflate *deflate_new(void)
{
	return malloc(sizeof(struct deflate));
}

void deflate_free(struct deflate *d)
{
	free(d);
}

static size_t store(const uint8_t *p, size_t len, bool final, uint8_t *to)
{
	size_t n = 0;
	do {
		size_t part = min_size(len, STORED_MAX);
		to[n] = final && part == len;
		put_le16(to + n + 1, (uint16_t)part);
		put_le16(to + n + 3, (uint16_t)~part);
		if (part)
			memcpy(to + n + STORED_HEADER, p, part);
		n += STORED_HEADER + part;
		p += part;
		len -= part;
	} while (len);
	return n;
}

/* The compressed length, 0 where it does not fit into room bytes. */
static size_t compress(struct deflate *d, const uint8_t *p, size_t len, size_t dict_len, bool final, uint8_t *to,
                       size_t room)
{
	struct isal_zstream *s = &d->stream;
	isal_deflate_init(s);
	s->level = 3;
	s->level_buf = d->level;
	s->level_buf_size = sizeof(d->level);
	s->flush = final ? NO_FLUSH : SYNC_FLUSH;
	s->end_of_stream = final;
	if (dict_len && isal_deflate_set_dict(s, (uint8_t *)(uintptr_t)(p - dict_len), (uint32_t)dict_len) != COMP_OK)
		return 0;
	s->next_in = (uint8_t *)(uintptr_t)p;
	s->avail_in = (uint32_t)len;
	s->next_out = to;
	s->avail_out = (uint32_t)room;
	if (isal_deflate(s) != COMP_OK || s->avail_out == 0 || s->avail_in != 0)
		return 0;
	return room - s->avail_out;
}

size_t deflate_block(struct deflate *d, const uint8_t *p, size_t len, size_t dict_len, bool final, uint8_t *to,
                     bool *ret_stored)
{
	size_t n = len > TINY ? compress(d, p, len, dict_len, final, to, len) : 0;
	*ret_stored = n == 0;
	return n ? n : store(p, len, final, to);
}
