/* SEARCH and MEASURE: walks that read no file's bytes. */
#include "worker/worker.h"

#include "wire/entry.h"
#include "worker/list.h"
#include "worker/walk.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { QUERY_MAX = 1024 };

struct search {
	struct job *job;
	struct fs *fs;
	char query[QUERY_MAX];
	bool pattern;
	uint64_t found, limit, seen;
};

/* ASCII letters fold, all other bytes must be equal: names are bytes in whatever encoding the guest uses. */
static bool contains(const char *name, size_t len, const char *query)
{
	return memmem(name, len, query, strlen(query)) != NULL || strcasestr(name, query) != NULL;
}

static int send_hit(struct search *s, const struct walk_entry *we, struct err *e)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(ENTRY_RECORD_MAX + 4);
	if (we->path_len > ENTRY_NAME_MAX)
		return 0;
	gate_enter_bulk(&s->job->worker->gate);
	list_put_entry(&b, s->fs, we->path, we->path_len, we->type, we->id, we->st, we->why);
	gate_leave(&s->job->worker->gate);
	int r = buf_ok(&b, "worker", e);
	if (r == 0)
		r = bulk_write(&s->job->out, b.data, b.len, e);
	ring_flush(&s->job->out.ring);
	s->found++;
	return r;
}

static int search_entry(void *arg, const struct walk_entry *we, struct err *e)
{
	struct search *s = arg;
	job_progress(s->job, ++s->seen, 0, s->job->out.errors);
	if (we->why)
		s->job->out.errors++;
	bool hit = s->pattern ? fnmatch(s->query, we->name, FNM_CASEFOLD) == 0
	                      : contains(we->name, strlen(we->name), s->query);
	int r = hit && s->found < s->limit ? send_hit(s, we, e) : 0;
	if (r < 0)
		return r;
	/* Enough: the rest of the walk is cut short by entering no further directory. */
	return s->found >= s->limit ? WALK_SKIP : WALK_GO_ON;
}

static int parse_search(struct search *s, uint32_t *volume, const char **path, size_t *len, struct err *e)
{
	struct rdr *rd = &s->job->rd;
	*volume = rdr_le32(rd);
	s->limit = rdr_le64(rd);
	wire_get_cstr(rd, s->query, sizeof(s->query));
	*path = wire_get_str(rd, WIRE_PATH_MAX, len);
	if (rd->bad || s->query[0] == '\0')
		return err_set(e, ERR_INVALID, "worker", "a search needs a name to look for, of at most %d bytes",
		               QUERY_MAX - 1);
	s->pattern = strpbrk(s->query, "*?[") != NULL;
	if (s->limit == 0)
		s->limit = UINT64_MAX;
	return 0;
}

int job_search(struct job *j, struct err *e)
{
	struct search s = {.job = j};
	uint32_t volume;
	const char *path;
	size_t len;
	int r = parse_search(&s, &volume, &path, &len, e);
	struct fs_id id;
	if (r == 0) {
		gate_enter_bulk(&j->worker->gate);
		r = job_resolve(j, volume, path, len, FS_FOLLOW, &s.fs, &id, e);
		gate_leave(&j->worker->gate);
	}
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf head = BUF_INIT(64);
	struct wire_list_head h = {.total = UINT64_MAX, .count = UINT64_MAX};
	wire_put_u32(&head, 24);
	wire_list_head_put(&head, &h);
	r = buf_ok(&head, "worker", e);
	if (r == 0)
		r = bulk_write(&j->out, head.data, head.len, e);
	return r < 0 ? r : walk(j, s.fs, id, path, len, false, search_entry, &s, e);
}

/* --- MEASURE -------------------------------------------------------------------------------------- */

struct measure {
	struct job *job;
	uint64_t files, directories, others, bytes, errors;
};

static int measure_entry(void *arg, const struct walk_entry *we, struct err *e)
{
	(void)e;
	struct measure *m = arg;
	if (we->why) {
		m->errors++;
	} else if (we->type == FS_FILE) {
		m->files++;
		m->bytes += we->st->size;
	} else if (we->type == FS_DIRECTORY) {
		m->directories++;
	} else {
		m->others++;
	}
	return WALK_GO_ON;
}

int job_measure(struct job *j, struct err *e)
{
	uint32_t volume = rdr_le32(&j->rd);
	struct path_list list;
	int r = job_read_paths(j, &list, e);
	if (r < 0)
		return r;
	struct measure m = {.job = j};
	for (size_t i = 0; i < list.count && r == 0; i++) {
		struct fs *fs;
		struct fs_id id;
		gate_enter_bulk(&j->worker->gate);
		r = job_resolve(j, volume, list.paths[i].path, list.paths[i].len, 0, &fs, &id, e);
		gate_leave(&j->worker->gate);
		if (r == 0)
			r = walk(j, fs, id, list.paths[i].path, list.paths[i].len, false, measure_entry, &m, e);
	}
	path_list_free(&list);
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_MEASURED, j->request);
	wire_put_u64(&b, m.files);
	wire_put_u64(&b, m.directories);
	wire_put_u64(&b, m.others);
	wire_put_u64(&b, m.bytes);
	wire_put_u64(&b, m.errors);
	return job_answer(j, &b, e);
}
