#include "fs/ntfs/log.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- restart pages --------------------------------------------------------------------------------- */

enum {
	NO_CLIENT = 0xFFFF,
	RESTART_CLEAN = 2,
	AREA_MIN = 0x30,
	CLIENT_SIZE = 0xA0,
	CLIENTS_MAX = 64,
};

/* LSNs have room for the offset in the log, in units of 8 bytes; the rest counts the rounds. */
static unsigned seq_bits_for(uint64_t size)
{
	unsigned bits = 0;
	for (; size; size >>= 1)
		bits++;
	return 64 + 3 - bits;
}

static int decode_client(const uint8_t *p, uint32_t page_size, uint32_t area, struct log_restart *ret, struct err *e)
{
	static const uint8_t name[8] = {'N', 0, 'T', 0, 'F', 0, 'S', 0};
	uint16_t clients = get_le16(p + area + 8), used = get_le16(p + area + 12), first = get_le16(p + area + 22);
	if (clients > CLIENTS_MAX || used >= clients ||
	    !range_inside(area + first, (uint64_t)clients * CLIENT_SIZE, page_size))
		return log_bad(e, "the restart area of $LogFile is malformed");
	const uint8_t *c = p + area + first + (size_t)used * CLIENT_SIZE;
	if (get_le32(c + 0x1C) != sizeof(name) || memcmp(c + 0x20, name, sizeof(name)) != 0)
		return log_bad(e, "$LogFile is not the log of NTFS");
	ret->oldest_lsn = get_le64(c);
	ret->restart_lsn = get_le64(c + 8);
	ret->client = used;
	ret->client_seq = get_le16(c + 0x14);
	return 0;
}

static int decode_area(const uint8_t *p, uint32_t page_size, uint32_t area, uint64_t file_size, struct log_restart *ret,
                       struct err *e)
{
	ret->major = get_le16(p + 0x1C);
	ret->minor = get_le16(p + 0x1A);
	if (!(ret->major == 1 && ret->minor == 1) && !(ret->major == 2 && ret->minor == 0))
		return err_set(e, ERR_FS_UNSUPPORTED, "ntfs", "$LogFile has version %u.%u", ret->major, ret->minor);
	if (!range_inside(area, AREA_MIN, page_size))
		return log_bad(e, "the restart area of $LogFile lies outside its page");
	ret->page_size = get_le32(p + 0x14);
	ret->seq_bits = get_le32(p + area + 16);
	ret->size = get_le64(p + area + 24);
	ret->record_header = get_le16(p + area + 36);
	ret->data_off = get_le16(p + area + 38);
	if (ret->page_size != page_size || page_size < LOG_PAGE_MIN)
		return err_set(e, ERR_FS_UNSUPPORTED, "ntfs", "$LogFile has pages of %" PRIu32 " and %" PRIu32 " bytes",
		               page_size, ret->page_size);
	uint64_t pages = ret->size / page_size;
	if (ret->size > file_size || ret->size > log_size_max || pages < 2 + LOG_TAILS + 2 ||
	    ret->seq_bits != seq_bits_for(ret->size))
		return log_bad(e, "$LogFile has an impossible size");
	uint32_t usa_end = 0x28 + 2 * (page_size / NTFS_STRIDE + 1);
	if (ret->data_off % 8 != 0 || ret->data_off < usa_end || ret->record_header < LOG_RECORD_HEADER ||
	    ret->record_header % 8 != 0 || ret->record_header > 0x100 ||
	    ret->data_off + ret->record_header > page_size)
		return log_bad(e, "the pages of $LogFile have an impossible layout");
	return decode_client(p, page_size, area, ret, e);
}

/* 1 and *ret, 0 when no sound restart page is at off. */
static int restart_page(const struct ntfs_stream *s, uint64_t off, struct log_restart *ret, struct err *e)
{
	uint8_t head[NTFS_STRIDE];
	if (!range_inside(off, sizeof(head), s->size))
		return 0;
	int r = ntfs_stream_read(s, off, head, sizeof(head), e);
	if (r < 0)
		return r;
	/* "CHKD": chkdsk was here and left nothing to do. */
	bool checked = memcmp(head, "CHKD", 4) == 0;
	uint32_t page_size = get_le32(head + 16);
	if ((!checked && memcmp(head, "RSTR", 4) != 0) || !is_pow2(page_size) || page_size < NTFS_STRIDE ||
	    page_size > LOG_PAGE_MAX || !range_inside(off, page_size, s->size))
		return 0;
	CLEANUP(free_ptr) uint8_t *p = malloc(page_size);
	if (!p)
		return err_no_memory(e, "ntfs");
	r = ntfs_stream_read(s, off, p, page_size, e);
	if (r < 0)
		return r;
	struct err torn = ERR_INIT;
	uint16_t area = get_le16(p + 24);
	if (ntfs_fixup(p, page_size, checked ? "CHKD" : "RSTR", "restart page", off, &torn) < 0 ||
	    !range_inside(area, 28, page_size))
		return 0;
	struct log_restart rst = {
		.lsn = checked ? get_le64(p + 8) : get_le64(p + area),
		.clean = checked || get_le16(p + area + 12) == NO_CLIENT || get_le16(p + area + 14) & RESTART_CLEAN,
	};
	if (!rst.clean)
		(void)decode_area(p, page_size, area, s->size, &rst, &rst.bad);
	*ret = rst;
	return 1;
}

int log_restart_read(const struct ntfs_stream *s, struct log_restart *ret, struct err *e)
{
	struct log_restart first, second;
	int found = restart_page(s, 0, &first, e);
	if (found < 0)
		return found;
	/* The second page is one page behind, whatever size pages have. */
	for (uint64_t off = NTFS_STRIDE; off <= LOG_PAGE_MAX; off *= 2) {
		int r = restart_page(s, off, &second, e);
		if (r < 0)
			return r;
		if (r > 0 && (!found || second.lsn > first.lsn))
			first = second;
		if (r > 0) {
			found = 1;
			break;
		}
	}
	if (found)
		*ret = first;
	return found;
}

/* --- pages of records ------------------------------------------------------------------------------ */

enum { PAGE_RECORD_END = 1, TAILS_V1 = 2 };

static bool is_tail_v1(const struct log *l, uint64_t off)
{
	return l->rst.major < 2 && off < l->first_page;
}

/* Loads the page at off as it is there: 1, or 0 when it is torn or none. */
static int page_load(struct log *l, uint64_t off, struct err *e)
{
	int r = ntfs_stream_read(&l->data, off, l->page, l->rst.page_size, e);
	if (r < 0)
		return r;
	struct err torn = ERR_INIT;
	if (ntfs_fixup(l->page, l->rst.page_size, "RCRD", "log page", off, &torn) < 0)
		return 0;
	l->head = (struct log_page){
		.lsn = get_le64(l->page + 8),
		.has_end = get_le32(l->page + 0x10) & PAGE_RECORD_END,
		.count = get_le16(l->page + 0x14),
		.pos = get_le16(l->page + 0x16),
		.end_lsn = get_le64(l->page + 0x20),
	};
	/* There the field says of which page it is a copy; the copied page ended with a whole record. */
	if (is_tail_v1(l, off))
		l->head.lsn = l->head.end_lsn;
	return 1;
}

/* The page of the ring at off, or its copy when that is newer. */
static int page_get(struct log *l, uint64_t off, struct err *e)
{
	uint64_t best = off, best_lsn = 0;
	int r = page_load(l, off, e);
	if (r < 0)
		return r;
	bool found = r > 0;
	if (found)
		best_lsn = l->head.end_lsn;
	for (unsigned i = 0; i < l->tails; i++) {
		if (l->tail[i].of == off && (!found || l->tail[i].end_lsn > best_lsn)) {
			best = l->tail[i].off;
			best_lsn = l->tail[i].end_lsn;
			found = true;
		}
	}
	return best == off ? r : page_load(l, best, e);
}

int log_pages_init(struct log *l, struct err *e)
{
	uint32_t size = l->rst.page_size;
	unsigned tails = l->rst.major < 2 ? TAILS_V1 : LOG_TAILS;
	l->first_page = (2 + (uint64_t)tails) * size;
	l->rst.size = l->rst.size / size * size;
	l->page = malloc(size);
	if (!l->page)
		return err_no_memory(e, "ntfs");
	for (unsigned i = 0; i < tails; i++) {
		uint64_t off = (2 + (uint64_t)i) * size;
		int r = page_load(l, off, e);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		uint64_t of = l->rst.major < 2 ? get_le64(l->page + 8) : get_le32(l->page + 0x3C);
		if (of % size != 0 || of < l->first_page || of >= l->rst.size)
			continue;
		l->tail[l->tails].off = off;
		l->tail[l->tails].of = of;
		l->tail[l->tails++].end_lsn = l->head.end_lsn;
	}
	return 0;
}

/* --- records --------------------------------------------------------------------------------------- */

static uint64_t lsn_offset(const struct log *l, uint64_t lsn)
{
	return lsn << l->rst.seq_bits >> (l->rst.seq_bits - 3);
}

static uint64_t page_after(const struct log *l, uint64_t off)
{
	off += l->rst.page_size;
	return off < l->rst.size ? off : l->first_page;
}

/* Loads the page if it is not the one at hand. */
static int page_want(struct log *l, uint64_t off, struct err *e)
{
	if (l->have == off)
		return 1;
	l->have = 0;
	int r = page_get(l, off, e);
	l->have = r > 0 ? off : 0;
	return r;
}

static int record_room(struct log *l, uint32_t len, struct err *e)
{
	if (len > LOG_RECORD_MAX || len > l->rst.size)
		return log_bad(e, "a record of $LogFile has %" PRIu32 " bytes", len);
	if (len <= l->record_cap)
		return 0;
	uint8_t *p = realloc(l->record, len);
	if (!p)
		return err_no_memory(e, "ntfs");
	l->record = p;
	l->record_cap = len;
	return 0;
}

int log_record_read(struct log *l, uint64_t lsn, struct log_record *ret, struct err *e)
{
	uint32_t size = l->rst.page_size;
	uint64_t off = lsn_offset(l, lsn), page = off & ~(uint64_t)(size - 1);
	uint32_t in = (uint32_t)(off - page);
	if (page < l->first_page || page >= l->rst.size || in < l->rst.data_off || in + l->rst.record_header > size)
		return 0;
	int r = page_want(l, page, e);
	if (r <= 0)
		return r;
	const uint8_t *p = l->page + in;
	struct log_record rec = {
		.lsn = get_le64(p),
		.undo_next = get_le64(p + 16),
		.len = get_le32(p + 24),
		.ours = get_le16(p + 28) == l->rst.client_seq && get_le16(p + 30) == l->rst.client,
		.type = get_le32(p + 32),
		.transaction = get_le32(p + 36),
	};
	if (rec.lsn != lsn)
		return 0;
	r = record_room(l, rec.len, e);
	if (r < 0)
		return r;
	in += l->rst.record_header;
	uint64_t seq = lsn >> (64 - l->rst.seq_bits);
	for (uint32_t done = 0;;) {
		uint32_t n = rec.len - done < size - in ? rec.len - done : size - in;
		if (l->head.lsn < lsn)
			return 0;
		if (n)
			memcpy(l->record + done, l->page + in, n);
		in += n;
		done += n;
		if (done == rec.len)
			break;
		page = page_after(l, page);
		seq += page == l->first_page;
		r = page_want(l, page, e);
		if (r <= 0)
			return r;
		in = l->rst.data_off;
	}
	if (!l->head.has_end || l->head.end_lsn < lsn)
		return 0;
	/* The page says whether another record begins in it. */
	in = (in + 7) & ~(uint32_t)7;
	if (l->head.lsn == lsn || in + l->rst.record_header > size) {
		page = page_after(l, page);
		seq += page == l->first_page;
		in = l->rst.data_off;
	}
	rec.next = (page + in) >> 3 | seq << (64 - l->rst.seq_bits);
	rec.data = l->record;
	*ret = rec;
	return 1;
}

int log_check_end(struct log *l, struct err *e)
{
	uint32_t size = l->rst.page_size;
	uint64_t end = lsn_offset(l, l->end_lsn) & ~(uint64_t)(size - 1);
	uint64_t pages = (l->rst.size - l->first_page) / size, page = end;
	l->have = 0;
	for (uint64_t i = 0; i < pages; i++, page = page_after(l, page)) {
		int r = page_load(l, page, e);
		if (r < 0)
			return r;
		/* Pages written at once with the one that is missing: that write was cut short. */
		if (r > 0 && l->head.end_lsn > l->end_lsn && i >= 2 && (l->head.pos == 0 || i > l->head.pos))
			return log_bad(e, "a part of $LogFile in front of its end is missing");
	}
	return 0;
}
