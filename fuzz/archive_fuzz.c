/* Entries as the input says: types, names, links, times, sizes, attributes, runs and data are all its bytes. */
#include "archive/archive.h"
#include "base/bytes.h"

#include <stdlib.h>

enum { FILLER = 64 << 10, ENTRIES = 64, NAME_BYTES = 400, DATA = 600 << 10, PAD = 4 << 20, XATTRS = 3, RUNS = 3 };

static int sink(void *arg, const void *p, size_t len, struct err *e)
{
	size_t *budget = arg;
	/* Every byte is read, so that a sanitizer sees one that is not there. */
	volatile uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum ^ ((const uint8_t *)p)[i]);
	if (len > *budget)
		return err_set(e, ERR_CANCELLED, "fuzz", "the reader went away");
	*budget -= len;
	return 0;
}

/* Up to the next `max` bytes as a string of their own. */
static char *text(struct rdr *r, size_t max, size_t *ret_len)
{
	size_t said = rdr_le16(r), n = min_size(min_size(said, max), rdr_left(r));
	*ret_len = n;
	char *s = calloc(1, n + 1);
	if (!s)
		abort();
	rdr_copy(r, s, n);
	return s;
}

/* Zeroes, or what does not shrink. */
static const uint8_t *filler(bool noise)
{
	static uint8_t fillers[2][FILLER];
	if (fillers[1][0] == 0)
		for (uint32_t i = 0, x = ~0u; i < FILLER; i++, x = x * 1664525 + 1013904223)
			fillers[1][i] = (uint8_t)(x >> 24);
	return fillers[noise];
}

static int one_entry(struct archive *a, struct rdr *r, const uint8_t *fill, struct err *e)
{
	uint8_t what = rdr_u8(r);
	size_t path_len, target_len, key_len, len;
	char *path = text(r, NAME_BYTES, &path_len), *target = text(r, NAME_BYTES, &target_len), *key = text(r, 40, &key_len);
	char *value = text(r, NAME_BYTES, &len);
	struct archive_xattr x[XATTRS] = {
		{key, value, len}, {"system.posix_acl_access", value, len}, {"system.posix_acl_default", target, target_len},
	};
	struct archive_run runs[RUNS];
	for (int i = 0; i < RUNS; i++)
		runs[i] = (struct archive_run){rdr_le32(r), rdr_le16(r)};
	struct archive_entry en = {
		.type = (enum archive_entry_type)(what % (ARCHIVE_FIFO + 1)), .path = path, .link_target = target,
		.mode = rdr_le16(r), .uid = rdr_le32(r), .gid = rdr_le32(r), .mtime_sec = (int64_t)rdr_le64(r),
		.mtime_nsec = rdr_le32(r), .atime_sec = (int64_t)rdr_le64(r), .has_atime = what & 16,
		.ctime_sec = (int64_t)rdr_le64(r), .has_ctime = what & 32, .rdev_major = rdr_le32(r),
		.rdev_minor = rdr_le32(r), .xattrs = x, .xattr_count = rdr_u8(r) % (XATTRS + 1),
		.runs = what & 64 ? runs : NULL, .run_count = rdr_u8(r) % (RUNS + 1),
	};
	en.size = what & 128 ? rdr_le64(r) : rdr_le32(r) % DATA;
	int res = archive_entry(a, &en, e);
	if (res == ERR_INVALID) {
		err_clear(e);
		res = 0;
		goto out;
	}
	bool file = en.type == ARCHIVE_FILE || (en.type == ARCHIVE_HARDLINK && !archive_wants_hardlinks(a));
	uint64_t left = file ? en.size : 0;
	if (file && en.runs && archive_wants_sparse(a)) {
		left = 0;
		for (size_t i = 0; i < en.run_count; i++)
			left += en.runs[i].len;
	}
	uint64_t arrive = min_u64(left, rdr_le32(r) % DATA);
	while (res == 0 && arrive) {
		/* the input's own bytes, then others */
		size_t own = min_size(rdr_left(r), rdr_u8(r) * 16u);
		own = min_size((size_t)min_u64(own, arrive), rdr_left(r));
		size_t n = own ? own : (size_t)min_u64(arrive, FILLER);
		res = archive_data(a, own ? rdr_take(r, own) : fill, n, e);
		arrive -= n;
		left -= n;
	}
	/* Terabytes of padding would only take time. */
	if (res == 0 && left > PAD && archive_wants_sparse(a))
		res = err_set(e, ERR_CANCELLED, "fuzz", "the reader gave up");
	else if (res == 0 && left)
		res = archive_entry_failed(a, e);
out:
	free(path);
	free(target);
	free(key);
	free(value);
	return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rdr r = rdr_init(data, size);
	uint8_t how = rdr_u8(&r);
	size_t budget = 4 << 20;
	struct err e = ERR_INIT;
	struct archive *a = NULL;
	struct archive_options opt = {.format = (enum archive_format)(how % 4), .threads = how & 8 ? 2 : 1};
	if (archive_open(&opt, &(struct archive_sink){.write = sink, .arg = &budget}, &a, &e) < 0)
		abort();
	int res = 0;
	for (int i = 0; res == 0 && i < ENTRIES && rdr_left(&r); i++)
		res = one_entry(a, &r, filler(how & 32), &e);
	if (res == 0 && how & 16)
		res = archive_add_text(a, "RESTORE-ERRORS.txt", data, size, 1700000000, &e);
	if (res == 0)
		res = archive_finish(a, &e);
	/* An entry that breaks may end an archive only through the sink's budget. */
	if (res < 0 && e.code != ERR_CANCELLED)
		abort();
	archive_close(a);
	return 0;
}
