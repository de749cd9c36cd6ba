/* Selections: what a person has marked, waiting to be fetched by a plain GET.
 *
 *	ready ──▶ running ──▶ complete ──▶ running (downloaded again)
 *	              ├────▶ failed ───▶ running
 *	              └────▶ cancelled (forgotten when the download has noticed)
 */
#include "hub/internal.h"

#include "base/bytes.h"
#include "base/uuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SELECTION_LIFE_S = 3600,
	SELECTION_BYTES_MAX = 16 << 20,
	THREADS = 2,
};

const char *hub_selection_state_name(enum hub_selection_state s)
{
	static const char *const names[] = {"ready", "running", "complete", "failed", "cancelled"};
	return names[s];
}

static void selection_free(struct selection *s)
{
	if (!s)
		return;
	buf_free(&s->paths);
	buf_free(&s->lost);
	free(s);
}

static struct selection **find_locked(struct hub *h, const char *id)
{
	struct selection **at = &h->selections;
	while (*at && strcmp((*at)->shown.id, id) != 0)
		at = &(*at)->next;
	return at;
}

static int not_found(struct err *e)
{
	return err_set(e, ERR_ARCHIVE_NOT_FOUND, "hub",
	               "there is no such archive; it may have ended with its mount: make the selection again");
}

static void unlink_locked(struct hub *h, struct selection **at)
{
	struct selection *s = *at;
	*at = s->next;
	h->selection_count--;
	selection_free(s);
}

void hub_selections_drop(struct hub *h, const char *mount_id)
{
	pthread_mutex_lock(&h->lock);
	for (struct selection **at = &h->selections; *at;) {
		if (!mount_id || strcmp((*at)->shown.mount_id, mount_id) == 0)
			unlink_locked(h, at);
		else
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&h->lock);
}

void hub_selections_expire(struct hub *h)
{
	int64_t before = hub_now_us() - (int64_t)SELECTION_LIFE_S * 1000000;
	pthread_mutex_lock(&h->lock);
	for (struct selection **at = &h->selections; *at;) {
		if ((*at)->used_at < before && (*at)->shown.state != HUB_SELECTION_RUNNING)
			unlink_locked(h, at);
		else
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&h->lock);
}

/* Makes room: the oldest one that was fetched, failed or was cancelled goes. New ones are put in front. */
static void drop_ended_locked(struct hub *h)
{
	struct selection **oldest = NULL;
	for (struct selection **at = &h->selections; *at; at = &(*at)->next)
		if ((*at)->shown.state != HUB_SELECTION_READY && (*at)->shown.state != HUB_SELECTION_RUNNING)
			oldest = at;
	if (oldest)
		unlink_locked(h, oldest);
}

/* All of them or none: a selection stays what it was when more does not fit. */
static int copy_paths(struct selection *s, const struct session_path *paths, size_t count, struct err *e)
{
	size_t bytes = 0, room = SELECTION_BYTES_MAX - s->paths.len;
	for (size_t i = 0; i < count && bytes <= room; i++)
		bytes += sizeof(uint32_t) + paths[i].len;
	if (bytes > room)
		return err_set(e, ERR_LIMIT, "hub", "the paths of an archive may have %d MiB together; select their folders, or make another archive",
		               SELECTION_BYTES_MAX >> 20);
	if (!buf_reserve(&s->paths, bytes)) {
		s->paths.failed = false;
		return err_no_memory(e, "hub");
	}
	for (size_t i = 0; i < count; i++) {
		uint8_t len[4];
		put_le32(len, (uint32_t)paths[i].len);
		buf_add(&s->paths, len, sizeof(len));
		buf_add(&s->paths, paths[i].path, paths[i].len);
	}
	s->path_count += count;
	return 0;
}

/* An array of views into bytes, which must stay. */
static struct session_path *view_paths(const struct buf *bytes, size_t count)
{
	struct session_path *list = calloc(count, sizeof(*list));
	size_t off = 0;
	for (size_t i = 0; list && i < count; i++) {
		size_t len = get_le32(bytes->data + off);
		list[i] = (struct session_path){.path = (const char *)bytes->data + off + 4, .len = len};
		off += 4 + len;
	}
	return list;
}

int hub_selection_create(struct hub *h, const char *mount_id, uint32_t volume, const char *format,
                         const struct session_path *paths, size_t path_count, struct hub_selection *ret, struct err *e)
{
	if (path_count == 0 || path_count > HUB_SELECTION_PATHS_MAX)
		return err_set(e, ERR_INVALID, "hub", "an archive needs 1 to %d paths", HUB_SELECTION_PATHS_MAX);
	CLEANUP(hub_use_release_p) struct hub_use *use = NULL;
	int r = hub_use(h, mount_id, &use, e);
	if (r < 0)
		return r;
	struct selection *s = calloc(1, sizeof(*s));
	if (!s)
		return err_no_memory(e, "hub");
	s->paths = BUF_INIT(SELECTION_BYTES_MAX);
	s->lost = BUF_INIT(STREAM_LOST_BYTES_MAX);
	r = session_measure(use->session, volume, paths, path_count, HUB_MEASURE_TIMEOUT_MS, &s->shown.total, e);
	if (r == 0)
		r = uuid_make(s->shown.id, e);
	if (r == 0)
		r = copy_paths(s, paths, path_count, e);
	if (r < 0) {
		selection_free(s);
		return r;
	}
	(void)snprintf(s->shown.mount_id, sizeof(s->shown.mount_id), "%s", mount_id);
	(void)snprintf(s->shown.format, sizeof(s->shown.format), "%s", format);
	s->shown.volume = volume;
	s->shown.created_at = s->used_at = hub_now_us();
	pthread_mutex_lock(&h->lock);
	if (h->selection_count >= HUB_SELECTIONS_MAX)
		drop_ended_locked(h);
	bool full = h->selection_count >= HUB_SELECTIONS_MAX;
	if (!full) {
		s->next = h->selections;
		h->selections = s;
		h->selection_count++;
		*ret = s->shown;
	}
	pthread_mutex_unlock(&h->lock);
	if (!full)
		return 0;
	selection_free(s);
	return err_set(e, ERR_LIMIT, "hub", "%d archives are prepared already; download or cancel some", HUB_SELECTIONS_MAX);
}

static void add_measure(struct session_measure *to, const struct session_measure *m)
{
	to->files += m->files;
	to->directories += m->directories;
	to->others += m->others;
	to->bytes += m->bytes;
	to->errors += m->errors;
}

static int add_locked(struct selection *s, const struct session_path *paths, size_t count,
                      const struct session_measure *more, struct err *e)
{
	if (s->shown.state != HUB_SELECTION_READY)
		return err_set(e, ERR_CONFLICT, "hub", "this archive is being downloaded, or was; make a new one");
	if (count > HUB_SELECTION_PATHS_MAX - s->path_count)
		return err_set(e, ERR_LIMIT, "hub", "an archive takes at most %d paths", HUB_SELECTION_PATHS_MAX);
	int r = copy_paths(s, paths, count, e);
	if (r < 0)
		return r;
	add_measure(&s->shown.total, more);
	s->used_at = hub_now_us();
	return 0;
}

int hub_selection_add(struct hub *h, const char *id, const struct session_path *paths, size_t path_count,
                      struct hub_selection *ret, struct err *e)
{
	struct hub_selection sel;
	struct session_measure more;
	CLEANUP(hub_use_release_p) struct hub_use *use = NULL;
	int r = hub_selection_get(h, id, &sel, e);
	if (r == 0)
		r = hub_use(h, sel.mount_id, &use, e);
	if (r == 0)
		r = session_measure(use->session, sel.volume, paths, path_count, HUB_MEASURE_TIMEOUT_MS, &more, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	struct selection *s = *find_locked(h, id);
	r = s ? add_locked(s, paths, path_count, &more, e) : not_found(e);
	if (r == 0)
		*ret = s->shown;
	pthread_mutex_unlock(&h->lock);
	return r;
}

int hub_selection_get(struct hub *h, const char *id, struct hub_selection *ret, struct err *e)
{
	pthread_mutex_lock(&h->lock);
	struct selection *s = *find_locked(h, id);
	if (s)
		*ret = s->shown;
	pthread_mutex_unlock(&h->lock);
	return s ? 0 : not_found(e);
}

int hub_selection_cancel(struct hub *h, const char *id, struct err *e)
{
	pthread_mutex_lock(&h->lock);
	struct selection **at = find_locked(h, id);
	bool found = *at != NULL;
	if (found && (*at)->shown.state == HUB_SELECTION_RUNNING)
		(*at)->cancelled = true; /* the download notices and forgets it */
	else if (found)
		unlink_locked(h, at);
	pthread_mutex_unlock(&h->lock);
	return found ? 0 : not_found(e);
}

/* Marks it running and copies what the download needs. */
static int claim(struct hub *h, const char *id, struct hub_selection *ret, struct buf *paths, size_t *ret_count,
                 struct err *e)
{
	pthread_mutex_lock(&h->lock);
	struct selection *s = *find_locked(h, id);
	int r = 0;
	if (!s) {
		r = not_found(e);
	} else if (s->shown.state == HUB_SELECTION_RUNNING) {
		r = err_set(e, ERR_CONFLICT, "hub", "this archive is being downloaded already");
	} else {
		buf_add(paths, s->paths.data, s->paths.len);
		*ret_count = s->path_count;
		r = buf_ok(paths, "hub", e);
	}
	if (r == 0) {
		s->shown.state = HUB_SELECTION_RUNNING;
		s->shown.done = (struct stream_progress){0};
		s->shown.error[0] = '\0';
		buf_reset(&s->lost);
		s->used_at = hub_now_us();
		*ret = s->shown;
	}
	pthread_mutex_unlock(&h->lock);
	return r;
}

int hub_selection_begin(struct hub *h, const char *id, struct hub_use **ret_use, struct stream **ret, struct err *e)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(SELECTION_BYTES_MAX);
	struct hub_selection sel;
	size_t count = 0;
	int r = claim(h, id, &sel, &bytes, &count, e);
	if (r < 0)
		return r;
	CLEANUP(free_ptr) struct session_path *paths = view_paths(&bytes, count);
	CLEANUP(hub_use_release_p) struct hub_use *use = NULL;
	r = paths ? hub_use(h, sel.mount_id, &use, e) : err_no_memory(e, "hub");
	if (r == 0)
		r = session_archive(use->session, sel.volume, paths, count, sel.format, THREADS, ret, e);
	if (r < 0) {
		hub_selection_end(h, id, e);
		return r;
	}
	*ret_use = STEAL(use);
	return 0;
}

bool hub_selection_progress(struct hub *h, const char *id, const struct stream_progress *p)
{
	pthread_mutex_lock(&h->lock);
	struct selection *s = *find_locked(h, id);
	bool go_on = s && !s->cancelled;
	if (s)
		s->shown.done = *p;
	pthread_mutex_unlock(&h->lock);
	return go_on;
}

void hub_selection_lost(struct hub *h, const char *id, struct buf *to)
{
	pthread_mutex_lock(&h->lock);
	struct selection *s = *find_locked(h, id);
	if (s)
		buf_add(to, s->lost.data, s->lost.len);
	pthread_mutex_unlock(&h->lock);
}

void hub_selection_keep_lost(struct hub *h, const char *id, struct stream *st)
{
	struct buf lost = BUF_INIT(STREAM_LOST_BYTES_MAX);
	stream_lost(st, &lost);
	pthread_mutex_lock(&h->lock);
	struct selection *s = *find_locked(h, id);
	if (s) {
		buf_free(&s->lost);
		s->lost = lost;
		lost = BUF_INIT(0);
	}
	pthread_mutex_unlock(&h->lock);
	buf_free(&lost);
}

void hub_selection_end(struct hub *h, const char *id, const struct err *why)
{
	pthread_mutex_lock(&h->lock);
	struct selection **at = find_locked(h, id);
	struct selection *s = *at;
	if (s && s->cancelled) {
		unlink_locked(h, at);
	} else if (s) {
		s->shown.state = why ? HUB_SELECTION_FAILED : HUB_SELECTION_COMPLETE;
		(void)snprintf(s->shown.error, sizeof(s->shown.error), "%s", why ? why->msg : "");
		s->used_at = hub_now_us();
	}
	pthread_mutex_unlock(&h->lock);
}
