#include "worker/worker.h"

#include "worker/ahead.h"

#include <inttypes.h>
#include <string.h>

enum { STREAM_NAME_MAX = 1024 };

struct read_request {
	uint32_t volume;
	uint64_t off, len;
	char stream[STREAM_NAME_MAX];
	const char *path;
	size_t path_len;
};

static int open_file(struct job *j, const struct read_request *q, struct fs_file **ret, struct err *e)
{
	struct fs *fs;
	struct fs_id id;
	int r = job_resolve(j, q->volume, q->path, q->path_len, FS_FOLLOW, &fs, &id, e);
	return r < 0 ? r : fs_file_open(fs, id, q->stream[0] ? q->stream : NULL, ret, e);
}

struct reading {
	struct fs_file *f;
	uint64_t end;                    /* of what was asked for */
	struct ahead ahead;
};

static int read_file(void *from, uint64_t off, void *to, size_t len, struct err *e)
{
	struct reading *r = from;
	int n = fs_file_read(r->f, off, to, len, e);
	if (n == 0)
		ahead_file(&r->ahead, r->f, off + len, r->end);
	return n;
}

int job_read(struct job *j, struct err *e)
{
	struct read_request q = {.volume = rdr_le32(&j->rd), .off = rdr_le64(&j->rd), .len = rdr_le64(&j->rd)};
	wire_get_cstr(&j->rd, q.stream, sizeof(q.stream));
	q.path = wire_get_str(&j->rd, WIRE_PATH_MAX, &q.path_len);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a READ request that cannot be read");

	gate_enter(&j->worker->gate);
	struct fs_file *f = NULL;
	int r = open_file(j, &q, &f, e);
	gate_leave(&j->worker->gate);
	if (r < 0)
		return r;
	if (q.off > f->size) {
		r = err_set(e, ERR_INVALID, "worker", "the file has %" PRIu64 " bytes, %" PRIu64 " is behind its end", f->size,
		            q.off);
	} else {
		uint64_t len = min_u64(q.len, f->size - q.off);
		struct reading reading = {.f = f, .end = q.off + len};
		r = job_copy_out(j, read_file, &reading, q.off, len, e);
	}
	gate_enter(&j->worker->gate);
	fs_file_close(f);
	gate_leave(&j->worker->gate);
	return r;
}
