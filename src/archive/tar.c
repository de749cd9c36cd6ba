/* Tar: a ustar header where everything fits into it, else a pax extended header before it. */
#include "archive/filter.h"
#include "archive/name.h"
#include "archive/pax.h"
#include "archive/writer.h"
#include "base/bytes.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 512,
	RECORD = 20 * BLOCK,             /* POSIX: the archive is padded to whole records */
	NAME = 100, PREFIX = 155,        /* sizes of fields */
	SPARSE_LINE = 24,
};

struct tar {
	struct filter *filter;
	uint64_t bytes;                  /* written to the filter */
	struct buf pax;
	struct buf path;                 /* of a directory with its '/' */
};

static const uint8_t zeroes[RECORD];

static int put(struct tar *t, const void *p, size_t len, struct err *e)
{
	t->bytes += len;
	return filter_write(t->filter, p, len, e);
}

static int pad(struct tar *t, size_t unit, struct err *e)
{
	size_t over = t->bytes % unit;
	return over ? put(t, zeroes, unit - over, e) : 0;
}

static void octal(uint8_t *to, int width, uint64_t v)
{
	char s[24];
	(void)snprintf(s, sizeof(s), "%0*" PRIo64, width - 1, v);
	memcpy(to, s, (size_t)width);
}

/* The name in `name`, or cut at a '/' into `prefix` and `name`; false where neither holds it. */
static bool ustar_path(uint8_t *h, const char *path)
{
	size_t len = strlen(path);
	if (len <= NAME) {
		memcpy(h, path, len);
		return true;
	}
	for (size_t cut = min_size(PREFIX, len - 2); cut > 0 && len - cut - 1 <= NAME; cut--) {
		if (path[cut] == '/') {
			memcpy(h + 345, path, cut);
			memcpy(h, path + cut + 1, len - cut - 1);
			return true;
		}
	}
	return false;
}

/* What a reader without pax will see: a folder that says so, and the end of the name. */
static void stand_in(uint8_t *h, const char *folder, const char *path)
{
	char s[NAME + 1];
	size_t len = strlen(path);
	size_t from = len;
	while (from > 0 && (path[from - 1] != '/' || from == len))
		from--;
	int n = snprintf(s, sizeof(s), "%s/%.*s", folder, (int)min_size(len - from, NAME), path + from);
	memcpy(h, s, min_size((size_t)n, NAME));
}

static uint64_t fit(int64_t v, uint64_t max)
{
	return v < 0 ? 0 : min_u64((uint64_t)v, max);
}

static char type_flag(enum archive_entry_type t)
{
	switch (t) {
	case ARCHIVE_FILE: return '0';
	case ARCHIVE_HARDLINK: return '1';
	case ARCHIVE_SYMLINK: return '2';
	case ARCHIVE_CHAR: return '3';
	case ARCHIVE_BLOCK: return '4';
	case ARCHIVE_DIRECTORY: return '5';
	case ARCHIVE_FIFO: return '6';
	}
	return '0';
}

/* Numbers, type and checksum; name, link and device are in h already. */
static int put_header(struct tar *t, uint8_t *h, const struct archive_entry *en, uint64_t size, char type, struct err *e)
{
	octal(h + 100, 8, en->mode & 07777);
	octal(h + 108, 8, min_u64(en->uid, TAR_OCTAL7));
	octal(h + 116, 8, min_u64(en->gid, TAR_OCTAL7));
	octal(h + 124, 12, min_u64(size, TAR_OCTAL11));
	octal(h + 136, 12, fit(en->mtime_sec, TAR_OCTAL11));
	h[156] = (uint8_t)type;
	memcpy(h + 257, "ustar\00000", 8);
	memset(h + 148, ' ', 8);
	unsigned sum = 0;
	for (int i = 0; i < BLOCK; i++)
		sum += h[i];
	octal(h + 148, 7, sum);
	return put(t, h, BLOCK, e);
}

static void sparse_line(struct buf *b, uint64_t v)
{
	buf_addf(b, "%" PRIu64 "\n", v);
}

/* Calls for every number of the sparse map, GNU 1.0: the count, then offset and length of each run; an empty run at the
 * end stands for the size. Returns the length of the map; writes it when t is given. */
static int sparse_map(struct tar *t, const struct archive_entry *en, uint64_t *ret_len, struct err *e)
{
	struct buf line = BUF_INIT(4 * SPARSE_LINE);
	uint64_t len = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i <= en->run_count; i++) {
		buf_reset(&line);
		if (i == 0)
			sparse_line(&line, (uint64_t)en->run_count + 1);
		sparse_line(&line, i < en->run_count ? en->runs[i].off : en->size);
		sparse_line(&line, i < en->run_count ? en->runs[i].len : 0);
		len += line.len;
		r = buf_ok(&line, "archive", e);
		if (r == 0 && t)
			r = put(t, line.data, line.len, e);
	}
	buf_free(&line);
	*ret_len = len;
	return r;
}

static void pax_owner_and_times(struct buf *b, const struct archive_entry *en)
{
	if (en->uid > TAR_OCTAL7)
		pax_number(b, "uid", en->uid);
	if (en->gid > TAR_OCTAL7)
		pax_number(b, "gid", en->gid);
	if (en->mtime_nsec || en->mtime_sec < 0 || (uint64_t)en->mtime_sec > TAR_OCTAL11)
		pax_time(b, "mtime", en->mtime_sec, en->mtime_nsec);
	if (en->has_atime)
		pax_time(b, "atime", en->atime_sec, en->atime_nsec);
	if (en->has_ctime)
		pax_time(b, "ctime", en->ctime_sec, en->ctime_nsec);
}

static int tar_path(struct tar *t, const struct archive_entry *en, struct err *e)
{
	buf_reset(&t->path);
	buf_adds(&t->path, en->path);
	if (en->type == ARCHIVE_DIRECTORY)
		buf_addc(&t->path, '/');
	return buf_ok(&t->path, "archive", e);
}

/* Fills the name fields of h and what they cannot hold into t->pax. */
static void put_names(struct tar *t, uint8_t *h, const struct archive_entry *en)
{
	struct buf *b = &t->pax;
	const char *path = buf_str(&t->path);
	bool links = en->type == ARCHIVE_SYMLINK || en->type == ARCHIVE_HARDLINK;
	const char *link = links ? en->link_target : "";
	size_t path_len = strlen(path), link_len = strlen(link);
	if (!utf8_valid(path, path_len) || !utf8_valid(link, link_len))
		pax_record(b, "hdrcharset", "BINARY", 6);
	if (en->runs) {
		stand_in(h, "GNUSparseFile.0", path);
		pax_record(b, "GNU.sparse.major", "1", 1);
		pax_record(b, "GNU.sparse.minor", "0", 1);
		pax_record(b, "GNU.sparse.name", path, path_len);
		pax_number(b, "GNU.sparse.realsize", en->size);
	} else if (!name_is_ascii(path) || !ustar_path(h, path)) {
		if (h[0] == 0)
			stand_in(h, "PaxPath", path);
		pax_record(b, "path", path, path_len);
	}
	memcpy(h + 157, link, min_size(link_len, NAME));
	if (link_len > NAME || !name_is_ascii(link))
		pax_record(b, "linkpath", link, link_len);
}

static void put_device(struct tar *t, uint8_t *h, const struct archive_entry *en)
{
	octal(h + 329, 8, min_u64(en->rdev_major, TAR_OCTAL7));
	octal(h + 337, 8, min_u64(en->rdev_minor, TAR_OCTAL7));
	if (en->rdev_major > TAR_OCTAL7)
		pax_number(&t->pax, "SCHILY.devmajor", en->rdev_major);
	if (en->rdev_minor > TAR_OCTAL7)
		pax_number(&t->pax, "SCHILY.devminor", en->rdev_minor);
}

static int put_pax(struct tar *t, const struct archive_entry *en, struct err *e)
{
	uint8_t h[BLOCK] = {0};
	struct archive_entry x = {.mode = 0644, .mtime_sec = en->mtime_sec};
	stand_in(h, "PaxHeaders", buf_str(&t->path));
	int r = put_header(t, h, &x, t->pax.len, 'x', e);
	if (r < 0 || (r = put(t, t->pax.data, t->pax.len, e)) < 0)
		return r;
	return pad(t, BLOCK, e);
}

static int tar_entry(void *w, const struct archive_entry *en, struct err *e)
{
	struct tar *t = w;
	uint8_t h[BLOCK] = {0};
	uint64_t size = en->type == ARCHIVE_FILE ? en->size : 0, map = 0;
	int r = tar_path(t, en, e);
	if (r < 0)
		return r;
	if (en->runs) {
		if ((r = sparse_map(NULL, en, &map, e)) < 0)
			return r;
		size = (map + BLOCK - 1) / BLOCK * BLOCK;
		for (size_t i = 0; i < en->run_count; i++)
			size += en->runs[i].len;
	}
	buf_reset(&t->pax);
	put_names(t, h, en);
	if (en->type == ARCHIVE_BLOCK || en->type == ARCHIVE_CHAR)
		put_device(t, h, en);
	if (size > TAR_OCTAL11)
		pax_number(&t->pax, "size", size);
	pax_owner_and_times(&t->pax, en);
	pax_xattrs(&t->pax, en->xattrs, en->xattr_count);
	if (t->pax.failed)
		return err_set(e, ERR_INVALID, "archive", "the extended attributes are longer than an archive entry can hold");
	if (t->pax.len && (r = put_pax(t, en, e)) < 0)
		return r;
	if ((r = put_header(t, h, en, size, type_flag(en->type), e)) < 0)
		return r;
	if (en->runs && (r = sparse_map(t, en, &map, e)) == 0)
		r = pad(t, BLOCK, e);
	return r;
}

static int tar_data(void *w, const void *p, size_t len, struct err *e)
{
	return put(w, p, len, e);
}

static int tar_end(void *w, uint64_t left, struct err *e)
{
	struct tar *t = w;
	while (left) {
		size_t n = (size_t)min_u64(left, sizeof(zeroes));
		int r = put(t, zeroes, n, e);
		if (r < 0)
			return r;
		left -= n;
	}
	return pad(t, BLOCK, e);
}

static int tar_finish(void *w, struct err *e)
{
	struct tar *t = w;
	int r = put(t, zeroes, (size_t)2 * BLOCK, e);
	if (r < 0 || (r = pad(t, RECORD, e)) < 0)
		return r;
	return filter_finish(t->filter, e);
}

static void tar_close(void *w)
{
	struct tar *t = w;
	filter_close(t->filter);
	buf_free(&t->pax);
	buf_free(&t->path);
	free(t);
}

int tar_open(const struct archive_options *opt, struct out *o, void **ret, struct err *e)
{
	struct tar *t = calloc(1, sizeof(*t));
	if (!t)
		return err_no_memory(e, "archive");
	t->pax = BUF_INIT(PAX_MAX);
	t->path = BUF_INIT(ARCHIVE_PATH_MAX + 1);
	int r = filter_open(opt->format, opt->threads, o, &t->filter, e);
	if (r < 0) {
		tar_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

const struct writer tar_writer = {
	.entry = tar_entry, .data = tar_data, .end = tar_end, .finish = tar_finish, .close = tar_close,
};
