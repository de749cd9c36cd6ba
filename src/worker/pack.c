/* ARCHIVE: a selection of paths as one archive stream.
 *
 * Each path is stored under its last component (names.h); what is below it follows depth first. An entry that cannot be read is left
 * out (or, when it breaks in the middle, ended in the way its format allows) and named with its reason in a last entry,
 * RESTORE-ERRORS.txt. The trailer is written only when the whole walk succeeded. */
#include "worker/worker.h"

#include "archive/archive.h"
#include "base/path.h"
#include "worker/ahead.h"
#include "worker/names.h"
#include "worker/walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 256 << 10,               /* bytes read at a time */
	ERRORS_TEXT_MAX = 4 << 20,
	LINKS_BUCKETS = 4096,
	LINKS_BYTES_MAX = 8 << 20,       /* memory for paths of files with several names; beyond it they are stored again */
	RUNS_MAX = 16384,                /* data runs of one sparse file; more: stored whole */
	XATTR_BYTES_MAX = 1 << 20,
	XATTRS_MAX = 256,
	ERRORS_NAMES_MAX = 1000,         /* files in the root of a volume that are called like the list of errors */
};

static const char errors_name[] = "RESTORE-ERRORS.txt";

struct link {
	struct link *next;
	struct fs_id id;
	char path[];                     /* in the archive */
};

struct pack {
	struct job *job;
	struct fs *fs;
	struct archive *archive;
	size_t strip;                    /* bytes of the path in front of what the archive shows */
	struct names *names;
	const char *renamed;             /* what the archive shows instead of … */
	size_t renamed_len;              /* … so many bytes; NULL: nothing */
	struct buf shown;
	unsigned errors_names;
	uint64_t files, bytes;
	struct buf errors;               /* text of RESTORE-ERRORS.txt */
	unsigned lost;                   /* LOST frames sent */
	struct link *links[LINKS_BUCKETS];
	size_t link_bytes;
	struct buf target;               /* of the current symlink */
	struct buf xattr_bytes;
	struct archive_xattr xattrs[XATTRS_MAX];
	unsigned xattr_count;
	struct archive_run *runs;
	size_t run_count;
	uint8_t *chunk;
};

/* --- errors --------------------------------------------------------------------------------------- */

static void note(struct pack *p, const char *path, const char *code, const char *msg)
{
	if (p->lost < WIRE_LOST_MAX) {
		p->lost++;
		job_lost(p->job, path, code, msg);
	}
	if (p->errors.len + strlen(path) + 1024 > ERRORS_TEXT_MAX)
		return;
	buf_addf(&p->errors, "%s: %s: %s\n", path, code, msg);
}

static void note_error(struct pack *p, const char *path, const struct err *why)
{
	p->job->out.errors++;
	note(p, path, err_code_name(why->code), why->msg);
}

/* Is it the whole archive's end, or this entry's? */
static bool ends_all(const struct err *e)
{
	return e->code == ERR_CANCELLED || e->code == ERR_NO_MEMORY || e->code == ERR_INTERNAL;
}

/* --- hard links ----------------------------------------------------------------------------------- */

static struct link **find_link(struct pack *p, struct fs_id id)
{
	uint64_t h = (id.ino * UINT64_C(0x9e3779b97f4a7c15)) ^ id.tree;
	struct link **at = &p->links[(h >> 40) % LINKS_BUCKETS];
	while (*at && ((*at)->id.ino != id.ino || (*at)->id.tree != id.tree))
		at = &(*at)->next;
	return at;
}

static void remember_link(struct pack *p, struct fs_id id, const char *path)
{
	size_t size = sizeof(struct link) + strlen(path) + 1;
	if (size > LINKS_BYTES_MAX - p->link_bytes)
		return;
	struct link *l = malloc(size);
	if (!l)
		return; /* the file's other names are stored as files of their own: right, only larger */
	*l = (struct link){.id = id};
	memcpy(l->path, path, strlen(path) + 1);
	*find_link(p, id) = l;
	p->link_bytes += size;
}

/* --- what an entry carries ------------------------------------------------------------------------ */

static int take_xattr(void *arg, const char *name, const void *value, size_t len)
{
	struct pack *p = arg;
	size_t name_len = strlen(name) + 1;
	if (p->xattr_count == XATTRS_MAX || p->xattr_bytes.len + name_len + len > XATTR_BYTES_MAX)
		return 1;
	struct archive_xattr *x = &p->xattrs[p->xattr_count++];
	/* Offsets now, pointers when the buffer has stopped moving. */
	x->name = (const char *)(uintptr_t)p->xattr_bytes.len;
	buf_add(&p->xattr_bytes, name, name_len);
	x->value = (const void *)(uintptr_t)p->xattr_bytes.len;
	buf_add(&p->xattr_bytes, value, len);
	x->len = len;
	return 0;
}

static void read_xattrs(struct pack *p, struct fs_id id, const char *path)
{
	struct err why = ERR_INIT;
	buf_reset(&p->xattr_bytes);
	p->xattr_count = 0;
	int r = fs_xattrs(p->fs, id, take_xattr, p, &why);
	if (r < 0)
		note_error(p, path, &why);
	else if (r > 0 || p->xattr_bytes.failed)
		note(p, path, "LIMIT_EXCEEDED", "it has more extended attributes than an archive stores");
	if (p->xattr_bytes.failed)
		p->xattr_count = 0;
	for (unsigned i = 0; i < p->xattr_count; i++) {
		p->xattrs[i].name = buf_str(&p->xattr_bytes) + (uintptr_t)p->xattrs[i].name;
		p->xattrs[i].value = p->xattr_bytes.data + (uintptr_t)p->xattrs[i].value;
	}
}

/* Adds a run, widened to what an archive takes. False: there are too many. */
static bool add_run(struct pack *p, uint64_t off, uint64_t end, uint64_t size)
{
	struct archive_run *last = p->run_count ? &p->runs[p->run_count - 1] : NULL;
	off -= off % ARCHIVE_RUN_UNIT;
	if (end % ARCHIVE_RUN_UNIT != 0)
		end = min_u64(end - end % ARCHIVE_RUN_UNIT + ARCHIVE_RUN_UNIT, size);
	if (last && off <= last->off + last->len) {
		last->len = end - last->off;
		return true;
	}
	if (p->run_count == RUNS_MAX)
		return false;
	p->runs[p->run_count++] = (struct archive_run){.off = off, .len = end - off};
	return true;
}

/* Fills p->runs with the file's data runs; false where it is not worth a sparse entry, or has too many. */
static bool read_runs(struct pack *p, struct fs_file *f)
{
	p->run_count = 0;
	struct err why = ERR_INIT;
	for (uint64_t off = 0; off < f->size;) {
		struct fs_extent ext;
		if (fs_file_extent(f, off, f->size - off, &ext, &why) < 0)
			return false; /* reading it says what is wrong */
		if (ext.kind != FS_EXTENT_ZERO && !add_run(p, off, off + ext.len, f->size))
			return false;
		off += ext.len;
	}
	return !(p->run_count == 1 && p->runs[0].off == 0 && p->runs[0].len == f->size);
}

static void fill_entry(struct archive_entry *en, const char *path, const struct fs_stat *st)
{
	*en = (struct archive_entry){
		.path = path,
		.mode = st->mode & 07777,
		.uid = st->uid,
		.gid = st->gid,
		.mtime_sec = st->valid & FS_HAS_MTIME ? st->mtime.sec : 0,
		.mtime_nsec = st->valid & FS_HAS_MTIME ? st->mtime.nsec : 0,
		.has_atime = st->valid & FS_HAS_ATIME,
		.atime_sec = st->atime.sec,
		.atime_nsec = st->atime.nsec,
		.has_ctime = st->valid & FS_HAS_CTIME,
		.ctime_sec = st->ctime.sec,
		.ctime_nsec = st->ctime.nsec,
		.rdev_major = st->rdev_major,
		.rdev_minor = st->rdev_minor,
	};
}

/* Attributes that are longer than the archive takes stay behind, not what has them. */
static int begin_entry(struct pack *p, const struct walk_entry *we, struct archive_entry *en, struct err *e)
{
	int r = archive_entry(p->archive, en, e);
	if (r != ERR_INVALID || en->xattr_count == 0)
		return r;
	struct err first = *e;
	err_clear(e);
	en->xattr_count = 0;
	r = archive_entry(p->archive, en, e);
	if (r == 0)
		note(p, we->path, "LIMIT_EXCEEDED", first.msg);
	return r;
}

/* --- files ---------------------------------------------------------------------------------------- */

static int copy_range(struct pack *p, struct fs_file *f, uint64_t off, uint64_t len, struct err *why, struct err *e)
{
	struct ahead ahead = {0};
	while (len > 0) {
		size_t n = (size_t)min_u64(len, CHUNK);
		gate_enter_bulk(&p->job->worker->gate);
		int r = fs_file_read(f, off, p->chunk, n, why);
		if (r == 0 && len > n)
			ahead_file(&ahead, f, off + n, off + len);
		gate_leave(&p->job->worker->gate);
		if (r < 0)
			return 0;
		r = archive_data(p->archive, p->chunk, n, e);
		if (r < 0)
			return r;
		p->bytes += n;
		off += n;
		len -= n;
		job_progress(p->job, p->files, p->bytes, p->job->out.errors);
	}
	return 0;
}

/* The entry is open; sends its bytes. A source that breaks ends the entry, not the archive. */
static int copy_file(struct pack *p, struct fs_file *f, const struct archive_entry *en, const char *path, struct err *e)
{
	struct err why = ERR_INIT;
	int r = 0;
	if (en->runs) {
		for (size_t i = 0; i < p->run_count && r == 0 && why.code == 0; i++)
			r = copy_range(p, f, p->runs[i].off, p->runs[i].len, &why, e);
	} else {
		r = copy_range(p, f, 0, f->size, &why, e);
	}
	if (r == 0 && why.code < 0) {
		note_error(p, path, &why);
		r = archive_entry_failed(p->archive, e);
	}
	return r;
}

static int pack_file(struct pack *p, const struct walk_entry *we, struct archive_entry *en, struct err *e)
{
	bool several = we->st->nlink > 1 && archive_wants_hardlinks(p->archive);
	if (several) {
		struct link *l = *find_link(p, we->id);
		if (l) {
			en->type = ARCHIVE_HARDLINK;
			en->link_target = l->path;
			return begin_entry(p, we, en, e);
		}
	}
	struct fs_file *f = NULL;
	struct err why = ERR_INIT;
	struct worker *w = p->job->worker;
	gate_enter_bulk(&w->gate);
	if (fs_file_open(p->fs, we->id, NULL, &f, &why) == 0 && f->size > 0) {
		/* The first bytes now: a file of which nothing can be read is left out, not announced. */
		uint8_t first;
		(void)fs_file_read(f, 0, &first, 1, &why);
	}
	bool sparse = why.code == 0 && archive_wants_sparse(p->archive) && f->size > 0 && read_runs(p, f);
	gate_leave(&w->gate);

	int r = 0;
	if (why.code < 0) {
		note_error(p, we->path, &why);
	} else {
		en->type = ARCHIVE_FILE;
		en->size = f->size;
		en->runs = sparse ? p->runs : NULL;
		en->run_count = sparse ? p->run_count : 0;
		uint64_t errors = p->job->out.errors;
		r = begin_entry(p, we, en, e);
		if (r == 0)
			r = copy_file(p, f, en, we->path, e);
		/* Each name of a file that is broken is listed, and so looked at. */
		if (r == 0 && several && p->job->out.errors == errors)
			remember_link(p, we->id, en->path);
	}
	gate_enter_bulk(&w->gate);
	fs_file_close(f);
	gate_leave(&w->gate);
	return r;
}

static int pack_symlink(struct pack *p, const struct walk_entry *we, struct archive_entry *en, struct err *e)
{
	struct err why = ERR_INIT;
	buf_reset(&p->target);
	gate_enter_bulk(&p->job->worker->gate);
	(void)fs_readlink(p->fs, we->id, &p->target, &why);
	gate_leave(&p->job->worker->gate);
	if (why.code < 0) {
		note_error(p, we->path, &why);
		return 0;
	}
	en->type = ARCHIVE_SYMLINK;
	en->link_target = buf_str(&p->target);
	return begin_entry(p, we, en, e);
}

static int pack_special(struct pack *p, const struct walk_entry *we, struct archive_entry *en, struct err *e)
{
	if (we->type == FS_SOCKET || we->type == FS_UNKNOWN || !archive_wants_special(p->archive)) {
		note(p, we->path, "SKIPPED", "this archive format stores no devices, pipes or sockets");
		return 0;
	}
	en->type = we->type == FS_BLOCK ? ARCHIVE_BLOCK : we->type == FS_CHAR ? ARCHIVE_CHAR : ARCHIVE_FIFO;
	return begin_entry(p, we, en, e);
}

static int pack_one(struct pack *p, const struct walk_entry *we, struct archive_entry *en, struct err *e)
{
	switch (we->type) {
	case FS_DIRECTORY:
		en->type = ARCHIVE_DIRECTORY;
		return begin_entry(p, we, en, e);
	case FS_FILE:
		return pack_file(p, we, en, e);
	case FS_SYMLINK:
		return pack_symlink(p, we, en, e);
	default:
		return pack_special(p, we, en, e);
	}
}

/* What the archive calls it; "": the root of the volume has no name of its own. */
static int shown_path(struct pack *p, const struct walk_entry *we, const char **ret, struct err *e)
{
	*ret = we->path + min_size(p->strip, we->path_len);
	if (p->renamed) {
		buf_reset(&p->shown);
		buf_adds(&p->shown, p->renamed);
		buf_adds(&p->shown, *ret + p->renamed_len);
		*ret = buf_str(&p->shown);
		return buf_ok(&p->shown, "worker", e);
	}
	/* Such as an archive that was unpacked there has left. */
	bool errors = strncmp(*ret, errors_name, strcspn(errors_name, ".")) == 0 && !strchr(*ret, '/') && p->errors_names < ERRORS_NAMES_MAX;
	p->errors_names += errors;
	return errors ? names_take(p->names, *ret, e) : 0;
}

static int pack_entry(void *arg, const struct walk_entry *we, struct err *e)
{
	struct pack *p = arg;
	if (we->why) {
		note_error(p, we->path, we->why);
		return WALK_GO_ON;
	}
	const char *shown;
	int r = shown_path(p, we, &shown, e);
	if (r < 0 || *shown == '\0')
		return r < 0 ? r : WALK_GO_ON;
	struct archive_entry en;
	fill_entry(&en, shown, we->st);
	gate_enter_bulk(&p->job->worker->gate);
	read_xattrs(p, we->id, we->path);
	gate_leave(&p->job->worker->gate);
	en.xattrs = p->xattrs;
	en.xattr_count = p->xattr_count;
	r = pack_one(p, we, &en, e);
	if (r == ERR_INVALID && !ends_all(e)) {
		/* A name no archive may hold (it would unpack elsewhere). */
		note_error(p, we->path, e);
		err_clear(e);
		return WALK_SKIP;
	}
	p->files++;
	job_progress(p->job, p->files, p->bytes, p->job->out.errors);
	return r < 0 ? r : WALK_GO_ON;
}

/* --- the whole ------------------------------------------------------------------------------------ */

static int pack_path(struct pack *p, uint32_t volume, const char *path, size_t len, bool only, struct err *e)
{
	struct fs_id id;
	struct fs_stat st;
	struct err why = ERR_INIT;
	gate_enter_bulk(&p->job->worker->gate);
	int r = job_resolve(p->job, volume, path, len, 0, &p->fs, &id, &why);
	if (r == 0)
		r = fs_stat(p->fs, id, &st, &why);
	/* A link to a folder, asked for by itself, means the folder. */
	if (r == 0 && only && st.type == FS_SYMLINK) {
		struct err ignored = ERR_INIT;
		struct fs_id behind;
		struct fs_stat behind_st;
		if (fs_resolve(p->fs, path, len, FS_FOLLOW, &behind, &ignored) == 0 &&
		    fs_stat(p->fs, behind, &behind_st, &ignored) == 0 && behind_st.type == FS_DIRECTORY)
			id = behind;
	}
	gate_leave(&p->job->worker->gate);
	if (r < 0) {
		if (only || ends_all(&why)) {
			*e = why;
			return e->code;
		}
		CLEANUP(free_ptr) char *text = strndup(path, len);
		note_error(p, text ? text : "?", &why);
		return 0;
	}
	size_t last_len = len;
	const char *last = path_last(path, &last_len), *name = NULL;
	if (last_len > 0 && (r = names_of_path(p->names, path, len, &name, e)) <= 0)
		return r;
	p->strip = (size_t)(last - path);
	p->renamed = name && (strlen(name) != last_len || memcmp(name, last, last_len) != 0) ? name : NULL;
	p->renamed_len = last_len;
	len = p->strip + last_len;
	return walk(p->job, p->fs, id, path, len, false, pack_entry, p, e);
}

static int add_errors(struct pack *p, struct err *e)
{
	if (p->errors.len == 0)
		return 0;
	CLEANUP(buf_free) struct buf text = BUF_INIT(ERRORS_TEXT_MAX + 4096);
	buf_adds(&text, "These entries could not be restored completely. Each line: path in the volume, code, reason.\n\n");
	buf_add(&text, p->errors.data, p->errors.len);
	const char *name;
	int r = buf_ok(&text, "worker", e);
	if (r == 0)
		r = names_of_text(p->names, errors_name, &name, e);
	return r < 0 ? r : archive_add_text(p->archive, name, text.data, text.len, 0, e);
}

static int sink_write(void *arg, const void *bytes, size_t len, struct err *e)
{
	return bulk_write(&((struct job *)arg)->out, bytes, len, e);
}

static void pack_free(struct pack *p)
{
	if (!p)
		return;
	archive_close(p->archive);
	for (unsigned i = 0; i < LINKS_BUCKETS; i++) {
		for (struct link *l = p->links[i], *next; l; l = next) {
			next = l->next;
			free(l);
		}
	}
	names_free(p->names);
	buf_free(&p->shown);
	buf_free(&p->errors);
	buf_free(&p->target);
	buf_free(&p->xattr_bytes);
	free(p->runs);
	free(p->chunk);
	free(p);
}

static struct pack *pack_new(struct job *j, size_t path_count)
{
	struct pack *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->job = j;
	p->names = names_new(path_count);
	p->shown = BUF_INIT(2 * FS_PATH_MAX);
	p->errors = BUF_INIT(ERRORS_TEXT_MAX);
	p->target = BUF_INIT(FS_LINK_MAX);
	p->xattr_bytes = BUF_INIT(XATTR_BYTES_MAX);
	p->runs = malloc(RUNS_MAX * sizeof(*p->runs));
	p->chunk = malloc(CHUNK);
	if (!p->names || !p->runs || !p->chunk) {
		pack_free(p);
		return NULL;
	}
	return p;
}

/* Of a selection that has the root in it that alone is left: all else is below. */
static void only_root(struct path_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		size_t len = l->paths[i].len;
		(void)path_last(l->paths[i].path, &len);
		if (l->paths[i].len > 0 && len == 0) {
			l->paths[0] = l->paths[i];
			l->count = 1;
		}
	}
}

int job_archive(struct job *j, struct err *e)
{
	char name[16];
	uint32_t volume = rdr_le32(&j->rd);
	wire_get_cstr(&j->rd, name, sizeof(name));
	unsigned threads = rdr_u8(&j->rd);
	struct archive_options opt = {.threads = threads};
	if (j->rd.bad || !archive_format_from_name(name, &opt.format))
		return err_set(e, ERR_INVALID, "worker", "there is no archive format \"%.15s\"; zip, tar, tar.gz and tar.zst are",
		               j->rd.bad ? "" : name);
	struct path_list list;
	int r = job_read_paths(j, &list, e);
	if (r < 0)
		return r;
	only_root(&list);
	struct pack *p = pack_new(j, list.count);
	if (!p) {
		path_list_free(&list);
		return err_no_memory(e, "worker");
	}
	struct archive_sink sink = {.write = sink_write, .arg = j};
	r = archive_open(&opt, &sink, &p->archive, e);
	for (size_t i = 0; i < list.count && r == 0; i++)
		r = pack_path(p, volume, list.paths[i].path, list.paths[i].len, list.count == 1, e);
	/* Entries that cannot be read are noted. But when nothing can be any more the archive is none. */
	if (r == 0 && p->errors.len > 0)
		r = job_check_source(j, e);
	if (r == 0)
		r = add_errors(p, e);
	if (r == 0)
		r = archive_finish(p->archive, e);
	if (r == 0) {
		j->progress_at_ms = 0;
		job_progress(j, p->files, p->bytes, j->out.errors);
	}
	pack_free(p);
	path_list_free(&list);
	return r;
}
