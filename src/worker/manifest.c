/* MANIFEST: a BSD mtree of everything below a path: type mode uid gid nlink size time link sha256, names in
 * order. An entry that cannot be read is a comment with its reason, and counted. */
#include "worker/worker.h"

#include "base/hex.h"
#include "crypto/crypto.h"
#include "worker/walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256 << 10, LINE_MAX_BYTES = FS_PATH_MAX * 4 + FS_LINK_MAX * 4 + 1024 };

struct manifest {
	struct job *job;
	struct fs *fs;
	size_t strip;
	struct buf line, target;
	struct hash *digest;
	uint8_t *chunk;
};

/* vis(3) in octal, as mtree writes names. */
static void add_vis(struct buf *b, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c <= ' ' || c >= 0x7f || c == '\\' || c == '#')
			buf_addf(b, "\\%03o", c);
		else
			buf_addc(b, (char)c);
	}
}

static void add_path(struct manifest *m, const struct walk_entry *we)
{
	const char *shown = we->path + min_size(m->strip, we->path_len);
	buf_adds(&m->line, *shown ? "./" : ".");
	add_vis(&m->line, shown, strlen(shown));
}

static int hash_file(struct manifest *m, struct fs_id id, uint64_t *ret_size, uint8_t md[SHA256_BYTES], struct err *e)
{
	struct worker *w = m->job->worker;
	struct fs_file *f = NULL;
	gate_enter_bulk(&w->gate);
	int r = fs_file_open(m->fs, id, NULL, &f, e);
	gate_leave(&w->gate);
	if (r < 0)
		return r;
	for (uint64_t off = 0; off < f->size && r == 0;) {
		size_t n = (size_t)min_u64(f->size - off, CHUNK);
		if (atomic_load_explicit(&m->job->cancelled, memory_order_relaxed)) {
			r = err_set(e, ERR_CANCELLED, "worker", "the reader went away");
			break;
		}
		gate_enter_bulk(&w->gate);
		r = fs_file_read(f, off, m->chunk, n, e);
		gate_leave(&w->gate);
		hash_add(m->digest, m->chunk, n);
		off += n;
	}
	hash_end(m->digest, md);
	*ret_size = f->size;
	gate_enter_bulk(&w->gate);
	fs_file_close(f);
	gate_leave(&w->gate);
	return r;
}

static const char *mtree_type(enum fs_type t)
{
	static const char *const names[] = {
		[FS_UNKNOWN] = "file", [FS_FILE] = "file",   [FS_DIRECTORY] = "dir", [FS_SYMLINK] = "link",
		[FS_BLOCK] = "block",  [FS_CHAR] = "char",   [FS_FIFO] = "fifo",     [FS_SOCKET] = "socket",
	};
	return names[t];
}

static int add_entry(struct manifest *m, const struct walk_entry *we, struct err *why)
{
	const struct fs_stat *st = we->st;
	add_path(m, we);
	buf_addf(&m->line, " type=%s mode=%04o uid=%u gid=%u nlink=%" PRIu64, mtree_type(st->type), st->mode & 07777,
	         st->uid, st->gid, st->nlink);
	if (st->type == FS_FILE)
		buf_addf(&m->line, " size=%" PRIu64, st->size);
	buf_addf(&m->line, " time=%" PRId64 ".%09u", st->mtime.sec, st->mtime.nsec);
	if (st->type == FS_SYMLINK) {
		buf_reset(&m->target);
		gate_enter_bulk(&m->job->worker->gate);
		int r = fs_readlink(m->fs, we->id, &m->target, why);
		gate_leave(&m->job->worker->gate);
		if (r < 0)
			return r;
		buf_adds(&m->line, " link=");
		add_vis(&m->line, buf_str(&m->target), m->target.len);
	}
	if (st->type == FS_FILE) {
		uint8_t md[SHA256_BYTES];
		uint64_t size;
		int r = hash_file(m, we->id, &size, md, why);
		if (r < 0)
			return r;
		char digits[2 * SHA256_BYTES + 1];
		hex_encode(digits, md, sizeof(md));
		buf_addf(&m->line, " sha256=%s", digits);
	}
	return 0;
}

static int manifest_entry(void *arg, const struct walk_entry *we, struct err *e)
{
	struct manifest *m = arg;
	struct err why = ERR_INIT;
	buf_reset(&m->line);
	if (we->why)
		why = *we->why;
	else
		(void)add_entry(m, we, &why);
	if (why.code == ERR_CANCELLED || why.code == ERR_NO_MEMORY) {
		*e = why;
		return e->code;
	}
	if (why.code < 0) {
		m->job->out.errors++;
		buf_reset(&m->line);
		buf_adds(&m->line, "# ");
		add_path(m, we);
		buf_addf(&m->line, ": %s: %s", err_code_name(why.code), why.msg);
	}
	buf_addc(&m->line, '\n');
	int r = buf_ok(&m->line, "worker", e);
	return r < 0 ? r : bulk_write(&m->job->out, m->line.data, m->line.len, e);
}

static int run(struct manifest *m, uint32_t volume, const char *path, size_t len, struct err *e)
{
	struct fs_id id;
	gate_enter_bulk(&m->job->worker->gate);
	int r = job_resolve(m->job, volume, path, len, FS_FOLLOW, &m->fs, &id, e);
	gate_leave(&m->job->worker->gate);
	if (r < 0)
		return r;
	while (len > 1 && path[len - 1] == '/')
		len--;
	m->strip = len > 1 ? len + 1 : 1;
	static const char head[] = "#mtree\n";
	r = bulk_write(&m->job->out, head, sizeof(head) - 1, e);
	return r < 0 ? r : walk(m->job, m->fs, id, path, len, true, manifest_entry, m, e);
}

int job_manifest(struct job *j, struct err *e)
{
	uint32_t volume = rdr_le32(&j->rd);
	size_t len;
	const char *path = wire_get_str(&j->rd, WIRE_PATH_MAX, &len);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a MANIFEST request that cannot be read");
	struct manifest m = {
		.job = j,
		.line = BUF_INIT(LINE_MAX_BYTES),
		.target = BUF_INIT(FS_LINK_MAX),
		.chunk = malloc(CHUNK),
	};
	int r = m.chunk ? hash_new(HASH_SHA256, &m.digest, e) : err_no_memory(e, "worker");
	if (r == 0)
		r = run(&m, volume, path, len, e);
	hash_free(m.digest);
	free(m.chunk);
	buf_free(&m.line);
	buf_free(&m.target);
	return r;
}
