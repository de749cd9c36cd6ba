#include "api/tracked.h"

#include "api/api.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
	struct tracked_download shown;   /* id "": free */
	uint64_t used;                   /* number of its last use */
	unsigned runs;                   /* answers under way */
};

struct tracked {
	pthread_mutex_t lock;
	uint64_t uses;
	struct item items[TRACKED_MAX];
};

const char *tracked_state_name(enum tracked_state s)
{
	static const char *const names[] = {"running", "interrupted", "complete", "failed", "cancelled"};
	return names[s];
}

int tracked_new(struct tracked **ret, struct err *e)
{
	struct tracked *t = calloc(1, sizeof(*t));
	if (!t)
		return err_no_memory(e, "api");
	(void)pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

void tracked_free(struct tracked *t)
{
	if (!t)
		return;
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

int tracked_check_id(const char *id, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	size_t len = strlen(id);
	if (len >= TRACKED_ID_MIN && len < TRACKED_ID_MAX && strspn(id, allowed) == len)
		return 0;
	return err_set(e, ERR_INVALID, "api", "a download's id has %d to %d letters, digits and \"-\"", TRACKED_ID_MIN,
	               TRACKED_ID_MAX - 1);
}

static struct item *find_locked(struct tracked *t, const char *id)
{
	for (unsigned i = 0; i < TRACKED_MAX; i++)
		if (t->items[i].shown.id[0] && strcmp(t->items[i].shown.id, id) == 0)
			return &t->items[i];
	return NULL;
}

/* The one of that id, else a fresh one: a free place has number 0 and is the oldest. */
static int obtain_locked(struct tracked *t, const char *id, struct item **ret, struct err *e)
{
	struct item *it = find_locked(t, id);
	for (unsigned i = 0; !it && i < TRACKED_MAX; i++)
		if (t->items[i].runs == 0 && (!*ret || t->items[i].used < (*ret)->used))
			*ret = &t->items[i];
	if (it) {
		*ret = it;
	} else if (*ret) {
		**ret = (struct item){0};
		(void)snprintf((*ret)->shown.id, sizeof((*ret)->shown.id), "%s", id);
	} else {
		return err_set(e, ERR_LIMIT, "api", "%d downloads are under way already", TRACKED_MAX);
	}
	(*ret)->used = ++t->uses;
	return 0;
}

int tracked_begin(struct tracked *t, const char *id, uint64_t off, uint64_t size, struct err *e)
{
	struct item *it = NULL;
	(void)pthread_mutex_lock(&t->lock);
	int r = obtain_locked(t, id, &it, e);
	if (r == 0 && it->shown.state == TRACKED_CANCELLED)
		r = err_set(e, ERR_CANCELLED, "api", "this download was cancelled");
	if (r == 0) {
		it->shown.state = TRACKED_RUNNING;
		it->shown.error[0] = '\0';
		it->shown.bytes = size;
		it->shown.done = off;
		it->runs++;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

bool tracked_progress(struct tracked *t, const char *id, uint64_t done)
{
	(void)pthread_mutex_lock(&t->lock);
	struct item *it = find_locked(t, id);
	bool go_on = it && it->shown.state != TRACKED_CANCELLED;
	if (go_on)
		it->shown.done = done;
	(void)pthread_mutex_unlock(&t->lock);
	return go_on;
}

static enum tracked_state state_after(const struct tracked_download *d, const struct err *why)
{
	if (!why)
		return d->done == d->bytes ? TRACKED_COMPLETE : TRACKED_INTERRUPTED;
	/* Nothing wrong here: the client left, and may come back for the rest. */
	return why->code == 0 || why->code == ERR_CANCELLED ? TRACKED_INTERRUPTED : TRACKED_FAILED;
}

/* None of its answers is under way any more. */
static void settle_locked(struct item *it, const struct err *why)
{
	if (it->shown.state != TRACKED_CANCELLED)
		it->shown.state = state_after(&it->shown, why);
	if (it->shown.state == TRACKED_FAILED)
		(void)snprintf(it->shown.error, sizeof(it->shown.error), "%s", why->msg);
}

void tracked_end(struct tracked *t, const char *id, const struct err *why)
{
	(void)pthread_mutex_lock(&t->lock);
	struct item *it = find_locked(t, id);
	if (it) {
		it->runs--;
		it->used = ++t->uses;
		if (it->runs == 0)
			settle_locked(it, why);
	}
	(void)pthread_mutex_unlock(&t->lock);
}

void tracked_fail(struct tracked *t, const char *id, const struct err *why)
{
	struct err ignored = ERR_INIT;
	struct item *it = NULL;
	(void)pthread_mutex_lock(&t->lock);
	if (obtain_locked(t, id, &it, &ignored) == 0 && it->runs == 0)
		settle_locked(it, why);
	(void)pthread_mutex_unlock(&t->lock);
}

bool tracked_get(struct tracked *t, const char *id, struct tracked_download *ret)
{
	(void)pthread_mutex_lock(&t->lock);
	const struct item *it = find_locked(t, id);
	if (it)
		*ret = it->shown;
	(void)pthread_mutex_unlock(&t->lock);
	return it != NULL;
}

int tracked_cancel(struct tracked *t, const char *id, struct tracked_download *ret, struct err *e)
{
	struct item *it = NULL;
	(void)pthread_mutex_lock(&t->lock);
	int r = obtain_locked(t, id, &it, e);
	if (r == 0) {
		it->shown.state = TRACKED_CANCELLED;
		*ret = it->shown;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

/* --- the API's side ------------------------------------------------------------------------------- */

static struct tracked *table(const struct http_request *req)
{
	return ((const struct api *)http_request_arg(req))->tracked;
}

int api_track(const struct http_request *req, const char *id, uint64_t off, uint64_t size, struct api_stream *s,
              struct err *e)
{
	int r = tracked_check_id(id, e);
	if (r == 0)
		r = tracked_begin(table(req), id, off, size, e);
	if (r < 0)
		return r;
	s->tracked = table(req);
	s->at = off;
	(void)snprintf(s->track, sizeof(s->track), "%s", id);
	return 0;
}

void api_track_failed(const struct http_request *req, const char *id, const struct err *why)
{
	struct err ignored = ERR_INIT;
	if (tracked_check_id(id, &ignored) == 0)
		tracked_fail(table(req), id, why);
}

static void put_download(struct http_response *resp, const struct tracked_download *d)
{
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "download_id", d->id);
	json_key_string(j, "state", tracked_state_name(d->state));
	json_key_u64(j, "bytes", d->bytes);
	json_key_u64(j, "bytes_done", d->done);
	json_key_text(j, "error", d->error);
	json_object_end(j);
}

void api_tracked_get(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct tracked_download d;
	const char *id;
	int r = http_param_string(req, "download_id", &id, &e);
	if (r == 0 && !tracked_get(table(req), id, &d))
		r = err_set(&e, ERR_NOT_FOUND, "api", "no download of that id has begun, or it was long ago");
	if (r == 0)
		put_download(resp, &d);
	else
		api_error(resp, &e);
}

void api_tracked_cancel(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct tracked_download d;
	const char *id;
	int r = http_param_string(req, "download_id", &id, &e);
	if (r == 0)
		r = tracked_check_id(id, &e);
	if (r == 0)
		r = tracked_cancel(table(req), id, &d, &e);
	if (r == 0)
		put_download(resp, &d);
	else
		api_error(resp, &e);
}
