#include "archive/filter.h"

#include "archive/pipe.h"
#include "base/bytes.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { ZST_LEVEL = 1, ZST_WINDOW_LOG = 19, ZST_JOB = 512 << 10, ZST_OUT = 128 << 10 };

struct filter {
	enum archive_format format;
	struct out *out;
	/* gzip */
	struct pipe *pipe;
	struct job *job;                 /* being filled, or NULL */
	uint32_t crc, length;
	/* zstd */
	ZSTD_CCtx *zstd;
	uint8_t *zstd_out;
};

static int gzip_emit(void *arg, struct job *j, struct err *e)
{
	struct filter *f = arg;
	return out_write(f->out, j->out, j->out_len, e);
}

static int gzip_open(struct filter *f, unsigned threads, struct err *e)
{
	/* deflate, no flags, no time (the same input gives the same bytes), fastest, Unix */
	static const uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3};
	int r = pipe_open(threads, &(struct pipe_events){.emit = gzip_emit, .arg = f}, &f->pipe, e);
	return r < 0 ? r : out_write(f->out, header, sizeof(header), e);
}

static int gzip_submit(struct filter *f, bool final, struct err *e)
{
	struct job *j = f->job;
	f->job = NULL;
	j->final = final;
	return pipe_submit(f->pipe, e);
}

static int gzip_write(struct filter *f, const uint8_t *p, size_t len, struct err *e)
{
	f->crc = libdeflate_crc32(f->crc, p, len);
	f->length += (uint32_t)len;
	while (len) {
		int r = f->job ? 0 : pipe_next(f->pipe, &f->job, e);
		if (r < 0)
			return r;
		size_t n = min_size(len, DEFLATE_BLOCK - f->job->len);
		memcpy(f->job->in + f->job->len, p, n);
		f->job->len += n;
		p += n;
		len -= n;
		if (f->job->len == DEFLATE_BLOCK && (r = gzip_submit(f, false, e)) < 0)
			return r;
	}
	return 0;
}

static int gzip_finish(struct filter *f, struct err *e)
{
	int r = f->job ? 0 : pipe_next(f->pipe, &f->job, e);
	if (r < 0 || (r = gzip_submit(f, true, e)) < 0 || (r = pipe_drain(f->pipe, e)) < 0)
		return r;
	uint8_t trailer[8];
	put_le32(trailer, f->crc);
	put_le32(trailer + 4, f->length);
	return out_write(f->out, trailer, sizeof(trailer), e);
}

static int zst_open(struct filter *f, unsigned threads, struct err *e)
{
	f->zstd = ZSTD_createCCtx();
	f->zstd_out = malloc(ZST_OUT);
	if (!f->zstd || !f->zstd_out)
		return err_no_memory(e, "archive");
	if (ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, ZST_LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_windowLog, ZST_WINDOW_LOG)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_checksumFlag, 1)))
		return err_set(e, ERR_INTERNAL, "archive", "libzstd refuses its parameters");
	/* One worker less than threads: the driving thread has work of its own, and each takes 3 MiB. A libzstd built
	 * without threads refuses them; the stream is then written by this thread. */
	if (threads > 1 && !ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_nbWorkers, (int)(threads > PIPE_THREADS_MAX ? PIPE_THREADS_MAX : threads) - 1)))
		(void)ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_jobSize, ZST_JOB);
	return 0;
}

static int zst_run(struct filter *f, const void *p, size_t len, ZSTD_EndDirective end, struct err *e)
{
	ZSTD_inBuffer in = {.src = p, .size = len};
	for (;;) {
		ZSTD_outBuffer to = {.dst = f->zstd_out, .size = ZST_OUT};
		size_t left = ZSTD_compressStream2(f->zstd, &to, &in, end);
		if (ZSTD_isError(left))
			return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation
			               ? err_no_memory(e, "archive")
			               : err_set(e, ERR_INTERNAL, "archive", "zstd: %s", ZSTD_getErrorName(left));
		int r = to.pos ? out_write(f->out, f->zstd_out, to.pos, e) : 0;
		if (r < 0)
			return r;
		if (end == ZSTD_e_end ? left == 0 : in.pos == in.size)
			return 0;
	}
}

int filter_open(enum archive_format format, unsigned threads, struct out *o, struct filter **ret, struct err *e)
{
	struct filter *f = calloc(1, sizeof(*f));
	if (!f)
		return err_no_memory(e, "archive");
	f->format = format;
	f->out = o;
	int r = format == ARCHIVE_TAR_GZ ? gzip_open(f, threads, e) : format == ARCHIVE_TAR_ZST ? zst_open(f, threads, e) : 0;
	if (r < 0) {
		filter_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

int filter_write(struct filter *f, const void *p, size_t len, struct err *e)
{
	if (f->format == ARCHIVE_TAR_GZ)
		return gzip_write(f, p, len, e);
	if (f->format == ARCHIVE_TAR_ZST)
		return zst_run(f, p, len, ZSTD_e_continue, e);
	return out_write(f->out, p, len, e);
}

int filter_finish(struct filter *f, struct err *e)
{
	if (f->format == ARCHIVE_TAR_GZ)
		return gzip_finish(f, e);
	if (f->format == ARCHIVE_TAR_ZST)
		return zst_run(f, NULL, 0, ZSTD_e_end, e);
	return 0;
}

void filter_close(struct filter *f)
{
	if (!f)
		return;
	pipe_close(f->pipe);
	(void)ZSTD_freeCCtx(f->zstd);
	free(f->zstd_out);
	free(f);
}
