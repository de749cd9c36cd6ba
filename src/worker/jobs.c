/* Job threads: made when work waits and none is idle, ended when idle for a while. */
#include "worker/worker.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/entry.h"
#include "worker/jobs.h"

enum { PROGRESS_EVERY_MS = 250, PATHS_MAX = 16 << 20, PATH_COUNT_MAX = 1 << 20 };

uint64_t worker_now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void jobs_flush(struct worker *w)
{
	for (unsigned i = 0; i < w->held_count; i++) {
		struct err ignored = ERR_INIT;
		(void)wire_send(w->sock, &w->held[i], NULL, 0, &ignored);
		buf_free(&w->held[i]);
	}
	w->held_count = 0;
}

void job_send(struct job *j, struct buf *b)
{
	struct worker *w = j->worker;
	if (j->held) {
		if (w->held_count == WORKER_HELD_MAX)
			jobs_flush(w);
		w->held[w->held_count++] = *b;
		*b = WIRE_BUF_INIT;
		return;
	}
	struct err ignored = ERR_INIT;
	(void)wire_send(j->worker->sock, b, NULL, 0, &ignored);
}

void job_error(struct job *j, const struct err *why)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_ERROR, j->request);
	wire_put_error(&b, why);
	job_send(j, &b);
}

void job_progress(struct job *j, uint64_t files, uint64_t bytes, uint64_t errors)
{
	uint64_t now = worker_now_ms();
	if (now - j->progress_at_ms < PROGRESS_EVERY_MS)
		return;
	j->progress_at_ms = now;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_PROGRESS, j->request);
	wire_put_u64(&b, files);
	wire_put_u64(&b, bytes);
	wire_put_u64(&b, errors);
	job_send(j, &b);
}

void job_lost(struct job *j, const char *path, const char *code, const char *msg)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_LOST, j->request);
	wire_put_str(&b, path, min_size(strlen(path), WIRE_PATH_MAX));
	wire_put_cstr(&b, code);
	wire_put_cstr(&b, msg);
	job_send(j, &b);
}

/* What gave this worker the image's bytes may have gone away: from then on it knows nothing for sure, for what cannot be read may be
 * noted and left out. */
int job_check_source(const struct job *j, struct err *e)
{
	const struct worker_source *source = j->worker->source;
	if (!source || !source->lost())
		return 0;
	return err_set(e, ERR_WORKER_DIED, "worker", "the program that reads this image ended; try again");
}

int job_answer(struct job *j, struct buf *b, struct err *e)
{
	int r = job_check_source(j, e);
	if (r == 0)
		job_send(j, b);
	return r;
}

static int send_done(struct job *j, struct err *e)
{
	ring_flush(&j->out.ring);
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_DONE, j->request);
	wire_put_u64(&b, j->out.bytes);
	wire_put_u32(&b, j->out.crc);
	wire_put_u64(&b, j->out.errors);
	return job_answer(j, &b, e);
}

void job_free(struct job *j)
{
	if (!j)
		return;
	if (j->has_out)
		ring_release(&j->out.ring);
	if (j->extra_fd >= 0)
		(void)close(j->extra_fd);
	for (unsigned i = 0; i < j->layer_count; i++)
		if (j->layer_fds[i] >= 0)
			(void)close(j->layer_fds[i]);
	if (j->type == WIRE_UNLOCK)
		explicit_bzero(j->payload, j->payload_len);
	free(j->payload);
	free(j);
}

/* --- the kinds of jobs ---------------------------------------------------------------------------- */

static void layer_to_wire(const struct image_layer_info *info, struct wire_layer *w)
{
	*w = (struct wire_layer){
		.version = info->version,
		.cluster_size = info->cluster_size,
		.virtual_size = info->virtual_size,
		.file_size = info->file_size,
		.has_data_file = info->has_data_file,
		.dirty = info->dirty,
		.extended_l2 = info->extended_l2,
		.compression_zstd = info->compression_zstd,
		.foreign = image_format_is_foreign(info->format),
		.encrypted = info->encrypted,
		.extent_count = info->extent_count,
	};
	(void)snprintf(w->format, sizeof(w->format), "%s", image_format_name(info->format));
	(void)snprintf(w->backing_name, sizeof(w->backing_name), "%s", info->backing_name);
	(void)snprintf(w->data_file_name, sizeof(w->data_file_name), "%s", info->data_file_name);
	if (info->backing_format != IMAGE_AUTO)
		(void)snprintf(w->backing_format, sizeof(w->backing_format), "%s",
		               image_format_name(info->backing_format));
}

static void send_layer(struct job *j, const struct image_layer *layer)
{
	struct wire_layer w;
	layer_to_wire(image_layer_info(layer), &w);
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_LAYER_INFO, j->request);
	wire_layer_put(&b, &w);
	job_send(j, &b);
}

/* Tells of the layers as far as they are ones, and of the first that is not, why. */
static int job_layers(struct job *j, struct err *e)
{
	char formats[WIRE_LAYERS_MAX][16];
	unsigned disk = rdr_le16(&j->rd);
	for (unsigned i = 0; i < j->layer_count; i++)
		wire_get_cstr(&j->rd, formats[i], sizeof(formats[i]));
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a LAYERS request that cannot be read");
	image_announce(j->layer_fds, j->layer_count);
	const struct image_layer *layers[WIRE_LAYERS_MAX];
	struct err why = ERR_INIT;
	unsigned n = 0;
	while (n < j->layer_count &&
	       disks_add_layer(&j->worker->disks, disk, fd_steal(&j->layer_fds[n]), formats[n], &layers[n], &why) == 0)
		n++;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_LAYERS_INFO, j->request);
	wire_put_u16(&b, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		struct wire_layer w;
		layer_to_wire(image_layer_info(layers[i]), &w);
		wire_layer_put(&b, &w);
	}
	if (n < j->layer_count)
		wire_put_error(&b, &why);
	return job_answer(j, &b, e);
}

static int job_extent(struct job *j, struct err *e)
{
	unsigned disk = rdr_le16(&j->rd);
	uint32_t index = rdr_le32(&j->rd);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "an EXTENT request that cannot be read");
	const struct image_extent *x;
	int r = disks_extent(&j->worker->disks, disk, index, &x, e);
	if (r < 0)
		return r;
	struct wire_extent w = {.kind = (enum wire_extent_kind)x->kind, .sectors = x->sectors, .first = x->first};
	(void)snprintf(w.name, sizeof(w.name), "%s", x->name);
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_EXTENT_INFO, j->request);
	wire_extent_put(&b, &w);
	return job_answer(j, &b, e);
}

static int job_source(struct job *j, struct err *e)
{
	unsigned disk = rdr_le16(&j->rd);
	if (j->rd.bad || !j->worker->source)
		return err_set(e, ERR_INVALID, "worker", "a SOURCE request that this worker cannot take");
	CLEANUP(blk_unref_p) struct blk *source = NULL;
	const struct image_layer *layer;
	int r = j->worker->source->open(fd_steal(&j->extra_fd), &source, e);
	if (r == 0)
		r = disks_set_source(&j->worker->disks, disk, source, &layer, e);
	if (r == 0)
		send_layer(j, layer);
	return r;
}

static int job_data_file(struct job *j, struct err *e)
{
	unsigned disk = rdr_le16(&j->rd);
	unsigned layer = rdr_le16(&j->rd);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a DATA_FILE request that cannot be read");
	int r = disks_add_data_file(&j->worker->disks, disk, layer, fd_steal(&j->extra_fd), e);
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_OK, j->request);
	return job_answer(j, &b, e);
}

static int job_disk(struct job *j, struct err *e)
{
	char name[WIRE_DISK_NAME_LEN], missing[WIRE_MISSING_LEN];
	unsigned disk = rdr_le16(&j->rd);
	wire_get_cstr(&j->rd, name, sizeof(name));
	wire_get_cstr(&j->rd, missing, sizeof(missing));
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a DISK request that cannot be read");
	int r = disks_name(&j->worker->disks, disk, name, missing, e);
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_OK, j->request);
	return job_answer(j, &b, e);
}

void job_put_warnings(struct buf *b, const struct disks *d)
{
	const char *texts[WIRE_WARNINGS_MAX];
	uint32_t n = 0;
	for (unsigned i = 0; i < d->set->warning_count && n < WIRE_WARNINGS_MAX; i++)
		texts[n++] = d->set->warnings[i];
	for (unsigned v = 0; v < d->set->count; v++) {
		const struct fs *fs = d->fs[v].fs;
		for (unsigned i = 0; fs && i < fs->warning_count && n < WIRE_WARNINGS_MAX; i++)
			texts[n++] = fs->warnings[i];
	}
	wire_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		wire_put_str(b, texts[i], strnlen(texts[i], WIRE_WARNING_LEN - 1));
}

static int job_open(struct job *j, struct err *e)
{
	struct disks *d = &j->worker->disks;
	int r = disks_open(d, e);
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_OPENED, j->request);
	wire_put_u32(&b, d->set->count);
	wire_put_u32(&b, d->default_volume);
	job_put_warnings(&b, d);
	wire_put_u32(&b, d->count);
	for (unsigned i = 0; i < d->count; i++)
		wire_put_cstr(&b, d->disk[i].missing);
	/* Before the answer: the client may ask at once. */
	atomic_store(&j->worker->next_phase, WIRE_PHASE_SERVING);
	return job_answer(j, &b, e);
}

struct job_kind {
	int (*run)(struct job *j, struct err *e);
	bool gated;                      /* runs inside the gate as a whole; else takes it itself */
};

static const struct job_kind kinds[] = {
	[WIRE_LAYERS] = {job_layers, true},      [WIRE_DATA_FILE] = {job_data_file, true},
	[WIRE_DISK] = {job_disk, true},          [WIRE_OPEN] = {job_open, true},
	[WIRE_EXTENT] = {job_extent, true},      [WIRE_SOURCE] = {job_source, true},
	[WIRE_VOLUMES] = {job_volumes, true},    [WIRE_STAT] = {job_stat, true},
	[WIRE_LIST] = {job_list, false},         [WIRE_READ] = {job_read, false},
	[WIRE_ARCHIVE] = {job_archive, false},   [WIRE_MANIFEST] = {job_manifest, false},
	[WIRE_SEARCH] = {job_search, false},     [WIRE_MEASURE] = {job_measure, false},
	[WIRE_KEY_AREAS] = {job_key_areas, false}, [WIRE_UNLOCK] = {job_unlock, true},
	[WIRE_UNLOCK_SOURCE] = {job_unlock_source, true}, [WIRE_DUMP] = {job_dump, false},
};

/* A worker that lost the image's bytes can serve nothing any more: it says so (the client may not know yet), and ends when its
 * requests have. Those that are broken off with it are not cancelled by anybody. The client starts another. */
static void job_failed(struct job *j, struct err *e)
{
	struct err lost = ERR_INIT;
	bool ends = job_check_source(j, &lost) < 0;
	job_error(j, ends ? &lost : e);
	if (ends)
		(void)shutdown(j->worker->sock, SHUT_RD);
}

static void job_run(struct job *j)
{
	const struct job_kind *kind = &kinds[j->type];
	struct err e = ERR_INIT;
	if (kind->gated)
		gate_enter(&j->worker->gate);
	int r = kind->run(j, &e);
	if (kind->gated)
		gate_leave(&j->worker->gate);
	if (r == 0 && j->has_out)
		r = send_done(j, &e);
	if (r < 0)
		job_failed(j, &e);
}

/* --- threads -------------------------------------------------------------------------------------- */

static void unlink_running(struct worker *w, struct job *j)
{
	struct job **at = &w->running;
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	w->job_count--;
}

/* Waits for work; false when there was none for so long that the thread ends. Called with w->lock held. */
static bool wait_for_work(struct worker *w)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WORKER_THREAD_IDLE_MS / 1000;
	w->idle++;
	int r = 0;
	while (!w->queue && r == 0)
		r = pthread_cond_timedwait(&w->work, &w->lock, &until);
	w->idle--;
	return w->queue != NULL;
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	pthread_mutex_lock(&w->lock);
	while (w->queue || wait_for_work(w)) {
		struct job *j = w->queue;
		w->queue = j->next;
		j->next = w->running;
		w->running = j;
		pthread_mutex_unlock(&w->lock);
		job_run(j);
		pthread_mutex_lock(&w->lock);
		unlink_running(w, j);
		job_free(j);
	}
	/* Nothing is asked for a while: what the heap holds in reserve goes back to the system. There may be a thousand of us. */
	if (--w->threads == 0)
		(void)malloc_trim(0);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int start_thread(struct worker *w, struct err *e)
{
	pthread_attr_t attr;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, WORKER_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_t thread;
	int r = pthread_create(&thread, &attr, thread_main, w);
	(void)pthread_attr_destroy(&attr);
	if (r != 0)
		return err_set_errno(e, ERR_NO_MEMORY, r, "worker", "cannot start a thread");
	w->threads++;
	return 0;
}

int jobs_submit(struct worker *w, struct job *j, struct err *e)
{
	pthread_mutex_lock(&w->lock);
	int r = 0;
	unsigned waiting = 1;
	for (struct job *q = w->queue; q; q = q->next)
		waiting++;
	if (w->job_count >= WORKER_JOBS_MAX)
		r = err_set(e, ERR_LIMIT, "worker", "%d requests run on this mount already; try again", WORKER_JOBS_MAX);
	else if (waiting > w->idle)
		r = start_thread(w, e);
	if (r == 0) {
		w->job_count++;
		struct job **at = &w->queue;
		while (*at)
			at = &(*at)->next;
		*at = j;
		pthread_cond_signal(&w->work);
	}
	pthread_mutex_unlock(&w->lock);
	return r;
}

void jobs_run_here(struct job *j, bool hold)
{
	j->held = hold;
	job_run(j);
	job_free(j);
}

static void cancel_one(struct job *j)
{
	atomic_store(&j->cancelled, true);
	uint64_t one = 1;
	ssize_t n = j->has_out ? write(j->out.ring.space_fd, &one, sizeof(one)) : 0;
	(void)n;
}

/* request 0: all of them. */
static void cancel_locked(struct worker *w, uint32_t request)
{
	struct job *lists[] = {w->queue, w->running};
	for (unsigned i = 0; i < 2; i++)
		for (struct job *j = lists[i]; j; j = j->next)
			if (request == 0 || j->request == request)
				cancel_one(j);
}

void jobs_cancel(struct worker *w, uint32_t request)
{
	pthread_mutex_lock(&w->lock);
	if (request != 0)
		cancel_locked(w, request);
	pthread_mutex_unlock(&w->lock);
}

bool jobs_end(struct worker *w, unsigned wait_ms)
{
	uint64_t until = worker_now_ms() + wait_ms;
	pthread_mutex_lock(&w->lock);
	cancel_locked(w, 0);
	while (w->job_count > 0 && worker_now_ms() < until) {
		pthread_mutex_unlock(&w->lock);
		(void)poll(NULL, 0, 1);
		pthread_mutex_lock(&w->lock);
	}
	bool ended = w->job_count == 0;
	pthread_mutex_unlock(&w->lock);
	return ended;
}

/* --- paths ---------------------------------------------------------------------------------------- */

static int read_whole(int fd, struct buf *to, struct err *e)
{
	for (;;) {
		uint8_t *p = buf_reserve(to, 64 << 10);
		if (!p)
			return err_set(e, ERR_LIMIT, "worker", "the list of paths is larger than %d bytes", PATHS_MAX);
		ssize_t n = pread(fd, p, 64 << 10, (off_t)to->len);
		if (n < 0)
			return err_set_errno(e, ERR_INVALID, errno, "worker", "cannot read the list of paths");
		if (n == 0)
			return 0;
		buf_filled(to, (size_t)n);
	}
}

int job_read_paths(struct job *j, struct path_list *ret, struct err *e)
{
	struct path_list l = {.bytes = BUF_INIT(PATHS_MAX + (64 << 10))};
	int r = read_whole(j->extra_fd, &l.bytes, e);
	if (r < 0)
		goto out;
	struct rdr rd = rdr_init(l.bytes.data, l.bytes.len);
	l.count = rdr_le32(&rd);
	if (rd.bad || l.count == 0 || l.count > PATH_COUNT_MAX) {
		r = err_set(e, ERR_INVALID, "worker", "an archive needs 1 to %d paths", PATH_COUNT_MAX);
		goto out;
	}
	l.paths = calloc(l.count, sizeof(*l.paths));
	if (!l.paths) {
		r = err_no_memory(e, "worker");
		goto out;
	}
	for (size_t i = 0; i < l.count; i++)
		l.paths[i].path = wire_get_str(&rd, WIRE_PATH_MAX, &l.paths[i].len);
	if (rd.bad)
		r = err_set(e, ERR_INVALID, "worker", "the list of paths cannot be read");
out:
	if (r < 0)
		path_list_free(&l);
	else
		*ret = l;
	return r;
}

void path_list_free(struct path_list *l)
{
	free(l->paths);
	l->paths = NULL;
	buf_free(&l->bytes);
}
