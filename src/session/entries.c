/* Records of a listing, taken from a stream through private memory: shared memory is never parsed in place. */
#include "session/internal.h"

#include <stdlib.h>
#include <string.h>

enum { READER_CHUNK = 64 << 10, READER_SIZE = READER_CHUNK + ENTRY_RECORD_MAX + 4 };

struct entry_reader {
	struct stream *stream;
	size_t start, end;               /* of the bytes at hand */
	uint8_t bytes[READER_SIZE];
};

int entry_reader_open(struct stream *st, struct entry_reader **ret, struct err *e)
{
	struct entry_reader *r = malloc(sizeof(*r));
	if (!r) {
		stream_close(st);
		return err_no_memory(e, "session");
	}
	r->stream = st;
	r->start = r->end = 0;
	*ret = r;
	return 0;
}

void entry_reader_close(struct entry_reader *r)
{
	if (!r)
		return;
	stream_close(r->stream);
	free(r);
}

struct stream *entry_reader_stream(struct entry_reader *r)
{
	return r->stream;
}

int entry_reader_bad(struct entry_reader *r, struct err *e)
{
	return stream_broken(r->stream, e, "its listing");
}

/* The next whole record in place: 1, or as stream_read. */
static int next_record(struct entry_reader *r, bool wait, struct rdr *ret, struct err *e)
{
	for (;;) {
		size_t have = r->end - r->start;
		if (have >= 4) {
			uint32_t len = get_le32(r->bytes + r->start);
			if (len == 0 || len > ENTRY_RECORD_MAX)
				return entry_reader_bad(r, e);
			if (have - 4 >= len) {
				*ret = rdr_init(r->bytes + r->start + 4, len);
				r->start += 4 + len;
				return 1;
			}
		}
		memmove(r->bytes, r->bytes + r->start, have);
		r->start = 0;
		r->end = have;
		ssize_t n = wait ? stream_read_wait(r->stream, r->bytes + r->end, READER_SIZE - r->end, e)
		                 : stream_read(r->stream, r->bytes + r->end, READER_SIZE - r->end, e);
		if (n == STREAM_END && have > 0)
			return entry_reader_bad(r, e);
		if (n <= 0)
			return (int)n;
		r->end += (size_t)n;
	}
}

int entry_reader_next_head(struct entry_reader *r, struct wire_list_head *ret, struct err *e)
{
	struct rdr rd;
	int n = next_record(r, true, &rd, e);
	if (n != 1)
		return n;
	wire_list_head_get(&rd, ret);
	return rd.bad ? entry_reader_bad(r, e) : 1;
}

int entry_reader_head(struct entry_reader *r, struct wire_list_head *ret, struct err *e)
{
	int n = entry_reader_next_head(r, ret, e);
	if (n == STREAM_END || (n == 1 && ret->why.code < 0))
		return entry_reader_bad(r, e);
	return n == 1 ? 0 : n;
}

static int next_entry(struct entry_reader *r, bool wait, struct wire_entry *ret, struct err *e)
{
	struct rdr rd;
	int n = next_record(r, wait, &rd, e);
	if (n != 1)
		return n;
	struct wire_entry en;
	wire_entry_get(&rd, &en);
	if (rd.bad)
		return entry_reader_bad(r, e);
	*ret = en;
	return 1;
}

int entry_reader_next(struct entry_reader *r, struct wire_entry *ret, struct err *e)
{
	return next_entry(r, false, ret, e);
}

int entry_reader_next_wait(struct entry_reader *r, struct wire_entry *ret, struct err *e)
{
	return next_entry(r, true, ret, e);
}
