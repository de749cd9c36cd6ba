#include "base/bytes.h"
#include "conformance.h"

#include "test.h"

enum {
	ROUNDS = 300,                /* so many different reads are failed */
	DEPTH_MAX = 64,
	ENTRIES_MAX = 2000,
	FILE_BYTES_MAX = 256 << 10,
};

/* A block source whose n-th read fails. */
struct faulty {
	struct blk blk;
	struct blk *under;
	uint64_t reads, fail_at;     /* counted from 1; 0: never */
};

static int faulty_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct faulty *f = (struct faulty *)b;
	if (++f->reads == f->fail_at)
		return err_set(e, ERR_IO, "faulty", "this read was made to fail");
	return blk_read(f->under, off, to, len, e);
}

static void faulty_close(struct blk *b)
{
	blk_unref(((struct faulty *)b)->under);
	free(b);
}

static const struct blk_ops faulty_ops = {.name = "faulty", .read = faulty_read, .close = faulty_close};

static struct faulty *faulty_open(struct blk *under, uint64_t fail_at)
{
	struct faulty *f = malloc(sizeof(*f));
	assert_non_null(f);
	blk_init(&f->blk, &faulty_ops, under->size);
	f->blk.sector_size = under->sector_size;
	f->under = blk_ref(under);
	f->reads = 0;
	f->fail_at = fail_at;
	return f;
}

/* What one reading of everything saw. */
struct seen {
	struct fs *fs;
	uint64_t hash;               /* FNV-1a over names and contents */
	uint64_t errors;             /* the same over what was said to be wrong */
	unsigned entries, depth;
};

static uint64_t mix(uint64_t hash, const void *p, size_t len)
{
	const uint8_t *b = p;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ b[i]) * 1099511628211u;
	return hash;
}

static void add(struct seen *s, const void *p, size_t len)
{
	s->hash = mix(s->hash, p, len);
}

static void note_error(struct seen *s, struct err *e)
{
	assert_true(err_code_known(e->code) && e->msg[0]);
	s->errors = mix(s->errors, e->msg, strlen(e->msg));
	err_clear(e);
}

static void read_file(struct seen *s, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct fs_file *f = NULL;
	if (fs_file_open(s->fs, id, NULL, &f, &e) < 0) {
		note_error(s, &e);
		return;
	}
	size_t len = (size_t)min_u64(f->size, FILE_BYTES_MAX);
	uint8_t *data = malloc(len + 1);
	assert_non_null(data);
	if (fs_file_read(f, 0, data, len, &e) < 0)
		note_error(s, &e);
	else
		add(s, data, len);
	free(data);
	fs_file_close(f);
}

static void read_directory(struct seen *s, struct fs_id id);

static void read_object(struct seen *s, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct fs_stat st;
	if (fs_stat(s->fs, id, &st, &e) < 0) {
		note_error(s, &e);
		return;
	}
	add(s, &st.size, sizeof(st.size));
	if (st.type == FS_FILE) {
		read_file(s, id);
	} else if (st.type == FS_SYMLINK) {
		struct buf target = BUF_INIT(FS_LINK_MAX);
		if (fs_readlink(s->fs, id, &target, &e) < 0)
			note_error(s, &e);
		add(s, target.data, target.len);
		buf_free(&target);
	} else if (st.type == FS_DIRECTORY && s->depth < DEPTH_MAX) {
		s->depth++;
		read_directory(s, id);
		s->depth--;
	}
}

struct ids {
	struct seen *seen;
	struct fs_id list[ENTRIES_MAX];
	unsigned count;
};

static int note(void *arg, const struct fs_dirent *de)
{
	struct ids *ids = arg;
	add(ids->seen, de->name, de->name_len);
	if (de->broken)
		ids->seen->errors = mix(ids->seen->errors, de->broken->msg, strlen(de->broken->msg));
	else if (ids->count < ENTRIES_MAX)
		ids->list[ids->count++] = de->id;
	return 0;
}

static void read_directory(struct seen *s, struct fs_id id)
{
	struct err e = ERR_INIT;
	struct ids *ids = malloc(sizeof(*ids));
	assert_non_null(ids);
	ids->seen = s;
	ids->count = 0;
	if (fs_readdir(s->fs, id, 0, note, ids, &e) < 0)
		note_error(s, &e);
	for (unsigned i = 0; i < ids->count && s->entries < ENTRIES_MAX; i++) {
		s->entries++;
		read_object(s, ids->list[i]);
	}
	free(ids);
}

static struct seen read_all(struct blk *b)
{
	struct seen s = {.hash = 14695981039346656037u, .errors = 14695981039346656037u};
	struct err e = ERR_INIT;
	if (fs_open(b, &s.fs, &e) < 0) {
		note_error(&s, &e);
		return s;
	}
	/* A warning says that something is missing, as an error does. */
	for (unsigned i = 0; i < s.fs->warning_count; i++)
		s.errors = mix(s.errors, s.fs->warnings[i], strlen(s.fs->warnings[i]));
	read_object(&s, fs_root(s.fs));
	fs_close(s.fs);
	return s;
}

void fs_torture(struct blk *b)
{
	struct faulty *whole = faulty_open(b, 0);
	struct seen want = read_all(&whole->blk);
	uint64_t reads = whole->reads;
	assert_int_equal(whole->blk.refs, 1);
	blk_unref(&whole->blk);
	assert_true(reads > 0);
	uint64_t step = 1 + reads / ROUNDS;
	for (uint64_t n = 1; n <= reads; n += n < ROUNDS / 4 ? 1 : step) {
		struct faulty *f = faulty_open(b, n);
		struct seen got = read_all(&f->blk);
		/* Nothing is held after the close, and nothing was lost in silence. */
		assert_int_equal(f->blk.refs, 1);
		assert_true(f->reads >= n);
		if (got.errors == want.errors && got.hash != want.hash)
			fail_msg("read %d of %d failed, and something is missing without an error", (int)n, (int)reads);
		blk_unref(&f->blk);
	}
}
