#include "archive/archive.h"

#include "archive/name.h"
#include "archive/pipe.h"
#include "archive/writer.h"
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

struct archive {
	enum archive_format format;
	const struct writer *writer;
	void *w;
	struct out out;
	bool open;                       /* a file's bytes are expected */
	bool dead;                       /* finished or failed */
	uint64_t left;                   /* bytes of it still to come */
};

static const struct {
	const char *name, *mime;
} formats[] = {
	[ARCHIVE_TAR] = {"tar", "application/x-tar"},
	[ARCHIVE_TAR_GZ] = {"tar.gz", "application/gzip"},
	[ARCHIVE_TAR_ZST] = {"tar.zst", "application/zstd"},
	[ARCHIVE_ZIP] = {"zip", "application/zip"},
};

bool archive_format_from_name(const char *name, enum archive_format *ret)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(name, formats[i].name) == 0) {
			*ret = (enum archive_format)i;
			return true;
		}
	}
	return false;
}

const char *archive_format_name(enum archive_format f)
{
	return formats[f].name;
}

const char *archive_format_mime(enum archive_format f)
{
	return formats[f].mime;
}

int archive_open(const struct archive_options *opt, const struct archive_sink *sink, struct archive **ret, struct err *e)
{
	struct archive *a = calloc(1, sizeof(*a));
	if (!a)
		return err_no_memory(e, "archive");
	a->format = opt->format;
	int r = out_init(&a->out, sink, e);
	if (r == 0)
		r = (opt->format == ARCHIVE_ZIP ? zip_open : tar_open)(opt, &a->out, &a->w, e);
	if (r < 0) {
		archive_close(a);
		return r;
	}
	a->writer = opt->format == ARCHIVE_ZIP ? &zip_writer : &tar_writer;
	*ret = a;
	return 0;
}

bool archive_wants_sparse(const struct archive *a)
{
	return a->format != ARCHIVE_ZIP;
}

bool archive_wants_hardlinks(const struct archive *a)
{
	return a->format != ARCHIVE_ZIP;
}

bool archive_wants_special(const struct archive *a)
{
	return a->format != ARCHIVE_ZIP;
}

/* A call the writer failed leaves the archive dead. */
static int keep(struct archive *a, int r)
{
	if (r < 0)
		a->dead = true;
	return r < 0 ? r : 0;
}

static int check_open(struct archive *a, bool file, struct err *e)
{
	if (!a->dead && a->open == file)
		return 0;
	a->dead = true;
	return err_set(e, ERR_INTERNAL, "archive", "the archive was called out of order");
}

/* The runs must ascend inside the file; their sum is what follows. GNU tar takes each from whole blocks, others take them as they come. */
static int check_runs(const struct archive_entry *en, uint64_t *ret, struct err *e)
{
	uint64_t end = 0, sum = 0;
	if (en->type != ARCHIVE_FILE)
		return err_set(e, ERR_INVALID, "archive", "only a file can be sparse");
	for (size_t i = 0; i < en->run_count; i++) {
		const struct archive_run *run = &en->runs[i];
		if (run->off < end || !range_inside(run->off, run->len, en->size))
			return err_set(e, ERR_INVALID, "archive", "the runs of a sparse file overlap or leave it");
		if (run->len % ARCHIVE_RUN_UNIT != 0 && i + 1 < en->run_count)
			return err_set(e, ERR_INVALID, "archive", "a run of a sparse file ends within a block");
		end = run->off + run->len;
		sum += run->len;
	}
	*ret = sum;
	return 0;
}

static int check_entry(const struct archive *a, const struct archive_entry *en, struct err *e)
{
	bool zip = a->format == ARCHIVE_ZIP;
	bool symlink = en->type == ARCHIVE_SYMLINK;
	int r = name_check(en->path, a->format, e);
	if (r < 0)
		return r;
	if (zip && (en->type == ARCHIVE_BLOCK || en->type == ARCHIVE_CHAR || en->type == ARCHIVE_FIFO))
		return err_set(e, ERR_INVALID, "archive", "a zip archive cannot hold devices and pipes");
	/* A symlink may point anywhere: it is the guest's. A hard link names an entry of this archive. */
	if (symlink && (!en->link_target || !en->link_target[0] ||
	                strnlen(en->link_target, ARCHIVE_PATH_MAX + 1) > ARCHIVE_PATH_MAX))
		return err_set(e, ERR_INVALID, "archive", "the target of the link is empty or too long");
	if (en->type == ARCHIVE_HARDLINK && !zip && (r = name_check(en->link_target, a->format, e)) < 0)
		return r;
	if (en->mtime_nsec >= 1000000000 || en->atime_nsec >= 1000000000 || en->ctime_nsec >= 1000000000)
		return err_set(e, ERR_INVALID, "archive", "a time has a billion nanoseconds or more");
	/* Room for tar's rounding up and its sparse map. */
	if (en->size > INT64_MAX)
		return err_set(e, ERR_INVALID, "archive", "the file is larger than an archive can hold");
	return 0;
}

int archive_entry(struct archive *a, const struct archive_entry *en, struct err *e)
{
	struct archive_entry copy = *en;
	bool zip = a->format == ARCHIVE_ZIP;
	bool file = en->type == ARCHIVE_FILE || (zip && en->type == ARCHIVE_HARDLINK);
	uint64_t left = file ? en->size : 0;
	int r = check_open(a, false, e);
	if (r < 0 || (r = check_entry(a, en, e)) < 0)
		return r;
	if (zip)
		copy.runs = NULL;
	if (copy.runs && (r = check_runs(&copy, &left, e)) < 0)
		return r;
	r = a->writer->entry(a->w, &copy, e);
	if (r == ERR_INVALID)
		return r;
	if (r == 0 && file) {
		a->left = left;
		a->open = left > 0;
		if (left == 0)
			r = a->writer->end(a->w, 0, e);
	}
	return keep(a, r);
}

int archive_data(struct archive *a, const void *p, size_t len, struct err *e)
{
	if (len == 0 && !a->dead)
		return 0;
	int r = check_open(a, true, e);
	if (r < 0)
		return r;
	if (len > a->left) {
		a->dead = true;
		return err_set(e, ERR_INTERNAL, "archive", "a file gave more bytes than it announced");
	}
	a->left -= len;
	r = a->writer->data(a->w, p, len, e);
	if (r == 0 && a->left == 0) {
		a->open = false;
		r = a->writer->end(a->w, 0, e);
	}
	return keep(a, r);
}

int archive_entry_failed(struct archive *a, struct err *e)
{
	int r = check_open(a, true, e);
	if (r < 0)
		return r;
	a->open = false;
	return keep(a, a->writer->end(a->w, a->left, e));
}

int archive_add_text(struct archive *a, const char *path, const void *text, size_t len, int64_t mtime_sec, struct err *e)
{
	struct archive_entry en = {
		.type = ARCHIVE_FILE, .path = path, .size = len, .mode = 0644, .mtime_sec = mtime_sec,
	};
	int r = archive_entry(a, &en, e);
	return r < 0 ? r : archive_data(a, text, len, e);
}

int archive_finish(struct archive *a, struct err *e)
{
	int r = check_open(a, false, e);
	if (r < 0)
		return r;
	r = a->writer->finish(a->w, e);
	if (r == 0)
		r = out_flush(&a->out, e);
	a->dead = true;
	return r;
}

void archive_close(struct archive *a)
{
	if (!a)
		return;
	if (a->w)
		a->writer->close(a->w);
	out_release(&a->out);
	free(a);
}
