/* Zip (APPNOTE 6.3.10). An entry's bytes are cut into blocks for the pipe (pipe.h), which hands them back in order:
 *
 *	one block      → its CRC and sizes are known: complete local header; stored where that is no longer than deflate
 *	several blocks → local header without them, deflate stream, data descriptor
 *
 * A broken entry is ended with an empty final block and a descriptor of what was really written.
 */
#include "archive/pipe.h"
#include "archive/writer.h"
#include "archive/zipdir.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
	METHOD_STORED = 0, METHOD_DEFLATE = 8,
	FLAG_DESCRIPTOR = 1 << 3, FLAG_UTF8 = 1 << 11,
	VERSION_DEFLATE = 20, VERSION_ZIP64 = 45, MADE_BY_UNIX = 3 << 8,
	EXTRA_ZIP64 = 0x0001, EXTRA_NTFS = 0x000a, EXTRA_UT = 0x5455, EXTRA_UX = 0x7875,
	HEADERS_MAX = 160,               /* a record without its name */
	DOS_DIRECTORY = 0x10, DOS_READ_ONLY = 1,
	LOW16 = 0xffff,
};
#define LOW32 UINT32_C(0xffffffff)
/* Entries announced at least this long get Zip64 sizes: deflate may lengthen what does not compress by five bytes in
 * 65535, so all below stay in 32 bits. */
#define ZIP64_FROM UINT64_C(0xfff00000)
/* 1601 to 1970 in units of 100 ns, and the seconds a Windows FILETIME can hold after 1970. */
#define FILETIME_EPOCH UINT64_C(116444736000000000)
#define FILETIME_MAX_SEC INT64_C(900000000000)

struct entry {
	struct archive_entry meta;       /* its pointers are not valid any more */
	uint64_t offset, size, packed;
	uint32_t crc;
	uint16_t method, flags;
	bool zip64;                      /* Zip64 sizes in local header and descriptor */
	size_t name_len;
	char name[];
};

struct zip {
	struct out *out;
	struct pipe *pipe;
	struct entry *cur;               /* its final job is not submitted yet */
	struct job *job;                 /* being filled, or NULL */
	bool begun;                      /* a job of cur was submitted */
	struct zipdir dir;
	struct buf rec;
};

static uint32_t unix_mode(const struct archive_entry *en)
{
	uint32_t type = en->type == ARCHIVE_DIRECTORY ? 0040000 : en->type == ARCHIVE_SYMLINK ? 0120000 : 0100000;
	return type | (en->mode & 07777);
}

/* DOS date and time, in UTC: where the archive was made must not show. Clamped to 1980 … 2107. */
static uint32_t dos_time(int64_t sec)
{
	const int64_t first = 315532800, last = 4354819198;
	struct clock_civil c = clock_civil(sec < first ? first : sec > last ? last : sec);
	return (uint32_t)(c.year - 1980) << 25 | c.month << 21 | c.day << 16 | c.hour << 11 | c.minute << 5 | c.second >> 1;
}

static void add16(struct buf *b, unsigned v)
{
	uint8_t p[2];
	put_le16(p, (uint16_t)v);
	buf_add(b, p, sizeof(p));
}

static void add32(struct buf *b, uint32_t v)
{
	uint8_t p[4];
	put_le32(p, v);
	buf_add(b, p, sizeof(p));
}

static void add64(struct buf *b, uint64_t v)
{
	uint8_t p[8];
	put_le64(p, v);
	buf_add(b, p, sizeof(p));
}

static uint64_t filetime(int64_t sec, uint32_t nsec)
{
	if (sec < -(int64_t)(FILETIME_EPOCH / 10000000))
		return 0;
	if (sec > FILETIME_MAX_SEC)
		sec = FILETIME_MAX_SEC;
	return (uint64_t)(sec * 10000000) + FILETIME_EPOCH + nsec / 100;
}

/* Times that 32 bits cannot hold go into the NTFS field, which 7-Zip and Windows read. */
static void extra_time(struct buf *b, const struct archive_entry *m, bool central)
{
	if (m->mtime_sec < INT32_MIN || m->mtime_sec > INT32_MAX) {
		add16(b, EXTRA_NTFS);
		add16(b, 32);
		add32(b, 0);
		add16(b, 1);
		add16(b, 24);
		add64(b, filetime(m->mtime_sec, m->mtime_nsec));
		add64(b, filetime(m->has_atime ? m->atime_sec : m->mtime_sec, 0));
		add64(b, filetime(m->mtime_sec, m->mtime_nsec));
		return;
	}
	bool atime = m->has_atime && m->atime_sec >= INT32_MIN && m->atime_sec <= INT32_MAX;
	add16(b, EXTRA_UT);
	add16(b, atime && !central ? 9 : 5);
	buf_addc(b, atime ? 3 : 1);
	add32(b, (uint32_t)(int32_t)m->mtime_sec);
	/* Info-ZIP: the central copy names the same times and holds only the first. */
	if (atime && !central)
		add32(b, (uint32_t)(int32_t)m->atime_sec);
}

static void extra_owner(struct buf *b, const struct archive_entry *m)
{
	add16(b, EXTRA_UX);
	add16(b, 11);
	buf_addc(b, 1);
	buf_addc(b, 4);
	add32(b, m->uid);
	buf_addc(b, 4);
	add32(b, m->gid);
}

/* Fills in the length of the extra fields, which begin at `from`. */
static void extra_done(struct buf *b, size_t len_at, size_t from)
{
	if (!b->failed)
		put_le16(b->data + len_at, (uint16_t)(b->len - from));
}

static int put_local(struct zip *z, struct entry *en, struct err *e)
{
	struct buf *b = &z->rec;
	bool later = en->flags & FLAG_DESCRIPTOR;
	uint32_t size = en->zip64 ? LOW32 : later ? 0 : (uint32_t)en->size;
	uint32_t packed = en->zip64 ? LOW32 : later ? 0 : (uint32_t)en->packed;
	buf_reset(b);
	add32(b, 0x04034b50);
	add16(b, en->zip64 ? VERSION_ZIP64 : VERSION_DEFLATE);
	add16(b, en->flags);
	add16(b, en->method);
	add32(b, dos_time(en->meta.mtime_sec));
	add32(b, later ? 0 : en->crc);
	add32(b, packed);
	add32(b, size);
	add16(b, (unsigned)en->name_len);
	add16(b, 0);
	buf_add(b, en->name, en->name_len);
	size_t from = b->len;
	if (en->zip64) {
		add16(b, EXTRA_ZIP64);
		add16(b, 16);
		add64(b, 0);
		add64(b, 0);
	}
	extra_time(b, &en->meta, false);
	extra_owner(b, &en->meta);
	extra_done(b, 28, from);
	int r = buf_ok(b, "archive", e);
	return r < 0 ? r : out_write(z->out, b->data, b->len, e);
}

static int put_descriptor(struct zip *z, struct entry *en, struct err *e)
{
	struct buf *b = &z->rec;
	buf_reset(b);
	add32(b, 0x08074b50);
	add32(b, en->crc);
	if (en->zip64) {
		add64(b, en->packed);
		add64(b, en->size);
	} else {
		add32(b, (uint32_t)en->packed);
		add32(b, (uint32_t)en->size);
	}
	int r = buf_ok(b, "archive", e);
	return r < 0 ? r : out_write(z->out, b->data, b->len, e);
}

static int add_central(struct zip *z, struct entry *en, struct err *e)
{
	struct buf *b = &z->rec;
	bool far = en->offset >= LOW32;
	uint32_t attr = unix_mode(&en->meta) << 16 | (en->meta.type == ARCHIVE_DIRECTORY ? DOS_DIRECTORY : 0) |
	                (en->meta.mode & 0200 ? 0 : DOS_READ_ONLY);
	buf_reset(b);
	add32(b, 0x02014b50);
	add16(b, MADE_BY_UNIX | VERSION_ZIP64);
	add16(b, en->zip64 || far ? VERSION_ZIP64 : VERSION_DEFLATE);
	add16(b, en->flags);
	add16(b, en->method);
	add32(b, dos_time(en->meta.mtime_sec));
	add32(b, en->crc);
	add32(b, en->zip64 ? LOW32 : (uint32_t)en->packed);
	add32(b, en->zip64 ? LOW32 : (uint32_t)en->size);
	add16(b, (unsigned)en->name_len);
	add16(b, 0);
	add16(b, 0);                     /* comment */
	add16(b, 0);                     /* disk */
	add16(b, 0);                     /* internal attributes */
	add32(b, attr);
	add32(b, far ? LOW32 : (uint32_t)en->offset);
	buf_add(b, en->name, en->name_len);
	size_t from = b->len;
	if (en->zip64 || far) {
		add16(b, EXTRA_ZIP64);
		add16(b, (en->zip64 ? 16u : 0u) + (far ? 8u : 0u));
		if (en->zip64) {
			add64(b, en->size);
			add64(b, en->packed);
		}
		if (far)
			add64(b, en->offset);
	}
	extra_time(b, &en->meta, true);
	extra_owner(b, &en->meta);
	extra_done(b, 30, from);
	int r = buf_ok(b, "archive", e);
	return r < 0 ? r : zipdir_add(&z->dir, b->data, b->len, e);
}

/* Blocks of every entry arrive here in order, with the CRC and the size of the whole entry set before its final one. */
static int zip_emit(void *arg, struct job *j, struct err *e)
{
	struct zip *z = arg;
	struct entry *en = j->owner;
	bool whole = j->first && j->final;
	bool raw = whole && (j->plain || j->stored);
	size_t len = raw ? j->len : j->out_len;
	int r = 0;
	if (j->first) {
		en->offset = z->out->total;
		en->method = raw ? METHOD_STORED : METHOD_DEFLATE;
		en->flags |= whole ? 0 : FLAG_DESCRIPTOR;
		en->zip64 = !whole && en->meta.size >= ZIP64_FROM;
		en->packed = whole ? len : 0;
		r = put_local(z, en, e);
	}
	if (r == 0)
		r = out_write(z->out, raw ? j->in : j->out, len, e);
	if (r == 0 && !whole) {
		en->packed += len;
		r = j->final ? put_descriptor(z, en, e) : 0;
	}
	if (r == 0 && j->final) {
		r = add_central(z, en, e);
		if (r == 0) {
			free(en);
			j->owner = NULL;
		}
	}
	return r;
}

static void zip_drop(void *owner)
{
	free(owner);
}

static int zip_job(struct zip *z, struct err *e)
{
	struct job *j;
	int r = pipe_next(z->pipe, &j, e);
	if (r < 0)
		return r;
	j->first = !z->begun;
	j->owner = z->cur;
	z->job = j;
	return 0;
}

static int zip_submit(struct zip *z, bool final, struct err *e)
{
	struct job *j = z->job;
	z->job = NULL;
	j->final = final;
	z->begun = true;
	if (final)
		z->cur = NULL;
	return pipe_submit(z->pipe, e);
}

static int zip_data(void *w, const void *data, size_t len, struct err *e)
{
	struct zip *z = w;
	const uint8_t *p = data;
	z->cur->crc = libdeflate_crc32(z->cur->crc, p, len);
	z->cur->size += len;
	while (len) {
		int r = 0;
		/* A full block goes only when more follows: so the last one can be final. */
		if (z->job && z->job->len == DEFLATE_BLOCK)
			r = zip_submit(z, false, e);
		if (r == 0 && !z->job)
			r = zip_job(z, e);
		if (r < 0)
			return r;
		size_t n = min_size(len, DEFLATE_BLOCK - z->job->len);
		memcpy(z->job->in + z->job->len, p, n);
		z->job->len += n;
		p += n;
		len -= n;
	}
	return 0;
}

static int zip_end(void *w, uint64_t left, struct err *e)
{
	struct zip *z = w;
	(void)left;                      /* what did not arrive is not in the entry */
	int r = z->job ? 0 : zip_job(z, e);
	return r < 0 ? r : zip_submit(z, true, e);
}

static int zip_entry(void *w, const struct archive_entry *en, struct err *e)
{
	struct zip *z = w;
	size_t len = strlen(en->path);
	bool folder = en->type == ARCHIVE_DIRECTORY;
	struct entry *n = calloc(1, sizeof(*n) + len + 1);
	if (!n)
		return err_no_memory(e, "archive");
	n->meta = *en;
	n->name_len = len + folder;
	memcpy(n->name, en->path, len);
	n->name[len] = folder ? '/' : 0;
	n->flags = utf8_valid(en->path, len) ? FLAG_UTF8 : 0;
	z->cur = n;
	z->begun = false;
	if (en->type == ARCHIVE_FILE || en->type == ARCHIVE_HARDLINK)
		return 0;
	int r = zip_job(z, e);
	if (r < 0)
		return r;
	z->job->plain = true;
	if (en->type == ARCHIVE_SYMLINK && (r = zip_data(z, en->link_target, strlen(en->link_target), e)) < 0)
		return r;
	return zip_submit(z, true, e);
}

static int put_end(struct zip *z, uint64_t start, struct err *e)
{
	struct buf *b = &z->rec;
	uint64_t size = z->out->total - start, count = z->dir.entries, end = z->out->total;
	buf_reset(b);
	if (count >= LOW16 || size >= LOW32 || start >= LOW32) {
		add32(b, 0x06064b50);
		add64(b, 44);
		add16(b, MADE_BY_UNIX | VERSION_ZIP64);
		add16(b, VERSION_ZIP64);
		add32(b, 0);
		add32(b, 0);
		add64(b, count);
		add64(b, count);
		add64(b, size);
		add64(b, start);
		add32(b, 0x07064b50);
		add32(b, 0);
		add64(b, end);
		add32(b, 1);
	}
	unsigned count16 = (unsigned)min_u64(count, LOW16);
	add32(b, 0x06054b50);
	add16(b, 0);
	add16(b, 0);
	add16(b, count16);
	add16(b, count16);
	add32(b, (uint32_t)min_u64(size, LOW32));
	add32(b, (uint32_t)min_u64(start, LOW32));
	add16(b, 0);
	int r = buf_ok(b, "archive", e);
	return r < 0 ? r : out_write(z->out, b->data, b->len, e);
}

static int zip_finish(void *w, struct err *e)
{
	struct zip *z = w;
	int r = pipe_drain(z->pipe, e);
	if (r < 0)
		return r;
	uint64_t start = z->out->total;
	r = zipdir_write(&z->dir, z->out, e);
	return r < 0 ? r : put_end(z, start, e);
}

static void zip_close(void *w)
{
	struct zip *z = w;
	pipe_close(z->pipe);
	free(z->cur);
	zipdir_release(&z->dir);
	buf_free(&z->rec);
	free(z);
}

int zip_open(const struct archive_options *opt, struct out *o, void **ret, struct err *e)
{
	struct zip *z = calloc(1, sizeof(*z));
	if (!z)
		return err_no_memory(e, "archive");
	z->out = o;
	z->rec = BUF_INIT(ARCHIVE_PATH_MAX + HEADERS_MAX);
	int r = zipdir_init(&z->dir, e);
	if (r == 0)
		r = pipe_open(opt->threads, &(struct pipe_events){.emit = zip_emit, .drop = zip_drop, .arg = z}, &z->pipe, e);
	if (r < 0) {
		zip_close(z);
		return r;
	}
	*ret = z;
	return 0;
}

const struct writer zip_writer = {
	.entry = zip_entry, .data = zip_data, .end = zip_end, .finish = zip_finish, .close = zip_close,
};
