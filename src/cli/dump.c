/* dump: a disk or a volume as it is, to standard output. Into a regular file what is zero becomes holes. */
#include "cli/cli.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256 << 10 };

struct sink {
	bool sparse;             /* a regular file with nothing behind where we are */
	uint64_t at;             /* bytes written or passed over */
	uint8_t *zeroes;         /* CHUNK bytes */
	uint8_t *chunk;          /* CHUNK bytes */
};

/* Passes over: a later write, or the end, makes the hole. */
static bool may_seek(void)
{
	struct stat st;
	if (fstat(STDOUT_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	off_t here = lseek(STDOUT_FILENO, 0, SEEK_CUR);
	return flags >= 0 && !(flags & O_APPEND) && here >= 0 && st.st_size <= here;
}

static int put_zeroes(struct sink *s, uint64_t to, struct err *e)
{
	if (to == s->at)
		return 0;
	if (s->sparse && lseek(STDOUT_FILENO, (off_t)(to - s->at), SEEK_CUR) < 0)
		return err_set_errno(e, ERR_CANCELLED, errno, "image", "cannot write to standard output");
	for (; !s->sparse && s->at < to;) {
		size_t n = (size_t)min_u64(CHUNK, to - s->at);
		int r = cli_write_all(s->zeroes, n, e);
		if (r < 0)
			return r;
		s->at += n;
	}
	s->at = to;
	return 0;
}

/* Exactly len bytes of the stream. */
static int read_exactly(struct stream *st, uint8_t *to, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = stream_read_wait(st, to, len, e);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return err_set(e, ERR_WORKER_PROTOCOL, "image", "the worker ended the disk before its end");
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_record(struct sink *s, struct stream *st, uint64_t len, struct err *e)
{
	while (len > 0) {
		size_t n = (size_t)min_u64(CHUNK, len);
		int r = read_exactly(st, s->chunk, n, e);
		if (r == 0)
			r = cli_write_all(s->chunk, n, e);
		if (r < 0)
			return r;
		s->at += n;
		len -= n;
	}
	return 0;
}

/* The length of a file that ends in a hole. */
static int finish(const struct sink *s, struct err *e)
{
	off_t here = s->sparse ? lseek(STDOUT_FILENO, 0, SEEK_CUR) : 0;
	if (here < 0 || (s->sparse && ftruncate(STDOUT_FILENO, here) < 0))
		return err_set_errno(e, ERR_CANCELLED, errno, "image", "cannot write to standard output");
	return 0;
}

static int copy(struct sink *s, struct stream *st, struct err *e)
{
	for (;;) {
		uint8_t head[16];
		int r = read_exactly(st, head, sizeof(head), e);
		if (r < 0)
			return r;
		uint64_t off = get_le64(head), len = get_le64(head + 8);
		if (off < s->at || len > INT64_MAX || off > INT64_MAX - len)
			return err_set(e, ERR_WORKER_PROTOCOL, "image", "the worker describes the disk in a wrong way");
		r = put_zeroes(s, off, e);
		if (r < 0)
			return r;
		if (len == 0)
			break;
		r = copy_record(s, st, len, e);
		if (r < 0)
			return r;
	}
	/* What is left says whether all that came was right. */
	uint8_t more;
	ssize_t n = stream_read_wait(st, &more, 1, e);
	if (n < 0)
		return (int)n;
	if (n > 0)
		return err_set(e, ERR_WORKER_PROTOCOL, "image", "the worker goes on behind the end of the disk");
	return finish(s, e);
}

int cli_dump_copy(struct stream *st, struct err *e)
{
	struct sink s = {.sparse = may_seek()};
	CLEANUP(free_ptr) uint8_t *memory = calloc(2, CHUNK);
	if (!memory)
		return err_no_memory(e, "image");
	s.zeroes = memory;
	s.chunk = memory + CHUNK;
	return copy(&s, st, e);
}
