/* Listings and searches: entries come from the worker one by one and leave as JSON one by one; a directory of any size costs
 * a fixed amount of memory here. */
#include "api/api.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "session/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	JSON_CHUNK = 64 << 10,           /* rendered ahead of the client */
	JSON_ROOM = 1 << 20,             /* and at most, with the longest entries */
	CURSOR_MAX = 64,
	SEARCH_LIMIT = 1000,             /* hits, unless the client says otherwise */
	SEARCH_LIMIT_MAX = 100000,
};

/* A listing on its way out. */
struct lister {
	struct hub_use *use;             /* owned */
	struct entry_reader *reader;     /* owned */
	struct buf out;
	size_t sent;                     /* of out */
	struct json json;
	char *dir;                       /* raw bytes; NULL: entries carry whole paths */
	size_t dir_len;
	uint64_t count;                  /* entries so far */
	bool search, ended;
};

static void lister_free(struct lister *l)
{
	if (!l)
		return;
	entry_reader_close(l->reader);
	hub_use_release(l->use);
	buf_free(&l->out);
	free(l->dir);
	free(l);
}

static void finish(struct lister *l)
{
	json_array_end(&l->json);
	if (l->search)
		json_key_u64(&l->json, "count", l->count);
	json_object_end(&l->json);
	l->ended = true;
}

/* Renders until there is a chunk. 1: something to send; 0: at the end; STREAM_WAIT or another negative: as entry_reader_next. */
static int render(struct lister *l, struct err *e)
{
	while (!l->ended && l->out.len - l->sent < JSON_CHUNK) {
		struct wire_entry en;
		int r = entry_reader_next(l->reader, &en, e);
		if (r == STREAM_END) {
			finish(l);
		} else if (r == 1) {
			view_entry(&l->json, l->dir, l->dir_len, &en);
			l->count++;
		} else if (r == STREAM_WAIT && l->out.len > l->sent) {
			break;
		} else {
			return r;
		}
	}
	int r = buf_ok(&l->out, "api", e);
	return r < 0 ? r : l->out.len > l->sent;
}

static ssize_t lister_read(void *arg, void *to, size_t max)
{
	struct lister *l = arg;
	struct err e = ERR_INIT;
	int r = l->out.len > l->sent ? 1 : render(l, &e);
	if (r == STREAM_WAIT)
		return HTTP_BODY_WAIT;
	if (r < 0)
		return HTTP_BODY_FAILED;
	size_t n = min_size(max, l->out.len - l->sent);
	memcpy(to, l->out.data + l->sent, n);
	l->sent += n;
	if (l->sent == l->out.len) {
		buf_reset(&l->out);
		l->sent = 0;
	}
	return (ssize_t)n;
}

static void lister_wait(void *arg, void (*wake)(void *), void *wake_arg)
{
	stream_on_ready(entry_reader_stream(((struct lister *)arg)->reader), wake, wake_arg);
}

static void lister_close(void *arg, bool completed)
{
	(void)completed;
	lister_free(arg);
}

static const struct http_body_ops lister_ops = {.read = lister_read, .wait = lister_wait, .close = lister_close};

/* Opens the reader on a stream and reads the listing's head. Takes use and stream over. */
static int lister_open(struct hub_use *use, struct stream *st, const char *dir, size_t dir_len, struct lister **ret,
                       struct wire_list_head *head, struct err *e)
{
	struct lister *l = calloc(1, sizeof(*l));
	if (!l) {
		stream_close(st);
		hub_use_release(use);
		return err_no_memory(e, "api");
	}
	l->use = use;
	l->out = BUF_INIT(JSON_ROOM);
	l->json = json_init(&l->out);
	int r = entry_reader_open(st, &l->reader, e);
	if (r == 0 && dir) {
		l->dir = malloc(dir_len + 1);
		l->dir_len = dir_len;
		if (l->dir)
			memcpy(l->dir, dir, dir_len);
		else
			r = err_no_memory(e, "api");
	}
	if (r == 0)
		r = entry_reader_head(l->reader, head, e);
	if (r < 0)
		lister_free(l);
	else
		*ret = l;
	return r;
}

/* --- files ---------------------------------------------------------------------------------------- */

struct list_query {
	struct session_list_options opt;
	const char *sort, *order;
};

/* A cursor is the sorting it belongs to and the index of the next entry; clients take it as it is. */
static void make_cursor(char to[CURSOR_MAX], const struct list_query *q, uint64_t index)
{
	(void)snprintf(to, CURSOR_MAX, "%s.%s.%" PRIu64, q->sort, q->order, index);
}

static int parse_cursor(const char *text, struct list_query *q, struct err *e)
{
	char prefix[CURSOR_MAX];
	make_cursor(prefix, q, 0);
	size_t n = strlen(prefix) - 1;
	const char *digits = strncmp(text, prefix, n) == 0 ? text + n : "";
	if (*digits == '\0' || strlen(digits) > 18 || strspn(digits, "0123456789") != strlen(digits))
		return err_set(e, ERR_INVALID, "api",
		               "\"cursor\" does not belong to this listing; take it from the answer before, with the same sort and order");
	q->opt.first = strtoull(digits, NULL, 10);
	return 0;
}

static int parse_list(const struct http_request *req, struct list_query *q, struct err *e)
{
	enum { SORTS = WIRE_SORT_OWNER + 1 };
	static const char *const sorts[SORTS] = {[WIRE_SORT_NAME] = "name", [WIRE_SORT_SIZE] = "size", [WIRE_SORT_MTIME] = "modified",
	                                    [WIRE_SORT_MODE] = "mode", [WIRE_SORT_OWNER] = "owner"};
	const char *cursor;
	*q = (struct list_query){0};
	int r = http_query_string(req, "sort", "name", &q->sort, e);
	if (r == 0)
		r = http_query_string(req, "order", "asc", &q->order, e);
	if (r == 0)
		r = http_query_u64(req, "limit", 0, UINT32_MAX, &q->opt.limit, e);
	if (r == 0)
		r = http_query_string(req, "cursor", NULL, &cursor, e);
	if (r < 0)
		return r;
	unsigned i = 0;
	while (i < SORTS && strcmp(q->sort, sorts[i]) != 0)
		i++;
	if (i == SORTS)
		return err_set(e, ERR_INVALID, "api", "\"sort\" is name, size, modified, mode or owner");
	q->opt.sort = (enum wire_sort)i;
	q->opt.descending = strcmp(q->order, "desc") == 0;
	if (!q->opt.descending && strcmp(q->order, "asc") != 0)
		return err_set(e, ERR_INVALID, "api", "\"order\" is asc or desc");
	return cursor && cursor[0] ? parse_cursor(cursor, q, e) : 0;
}

static void begin_list(struct lister *l, const char *mount_id, uint32_t volume, const struct list_query *q,
                       const struct wire_list_head *head)
{
	struct json *j = &l->json;
	json_object(j);
	json_key_string(j, "mount_id", mount_id);
	json_key_u64(j, "volume", volume);
	json_key(j, "path");
	json_name(j, l->dir, l->dir_len);
	json_key_u64(j, "total_count", head->total);
	json_key(j, "next_cursor");
	if (head->first + head->count < head->total) {
		char cursor[CURSOR_MAX];
		make_cursor(cursor, q, head->first + head->count);
		json_string(j, cursor);
	} else {
		json_null(j);
	}
	json_key(j, "files");
	json_array(j);
}

void api_files(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PATH_MAX * 4);
	struct session_path at;
	struct list_query q;
	const char *id;
	struct hub_use *use = NULL;
	struct stream *st = NULL;
	struct lister *l = NULL;
	struct wire_list_head head;
	int r = api_path(req, "/", &bytes, &at, &e);
	if (r == 0)
		r = parse_list(req, &q, &e);
	if (r == 0)
		r = http_param_string(req, "mount_id", &id, &e);
	if (r == 0)
		r = hub_use(api_hub(req), id, &use, &e);
	uint32_t volume = r == 0 && at.volume == 0 ? use->default_volume : at.volume;
	if (r == 0 && (r = session_list(use->session, at, &q.opt, &st, &e)) < 0)
		hub_use_release(use);
	if (r == 0)
		r = lister_open(use, st, at.path, at.len, &l, &head, &e);
	if (r < 0) {
		api_error(resp, &e);
		return;
	}
	begin_list(l, id, volume, &q, &head);
	http_body_stream(resp, 200, "application/json", &lister_ops, l, HTTP_LENGTH_UNKNOWN);
}

/* --- search --------------------------------------------------------------------------------------- */

void api_search(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(WIRE_PATH_MAX * 4);
	CLEANUP(buf_free) struct buf query = BUF_INIT(4096);
	struct session_path at;
	const char *text;
	uint64_t limit = SEARCH_LIMIT;
	struct hub_use *use = NULL;
	struct stream *st = NULL;
	struct lister *l = NULL;
	struct wire_list_head head;
	int r = api_path(req, "/", &bytes, &at, &e);
	if (r == 0)
		r = http_query_string(req, "q", NULL, &text, &e);
	if (r == 0 && (!text || !text[0]))
		r = err_set(&e, ERR_INVALID, "api", "the parameter \"q\" says what to look for");
	if (r == 0)
		r = http_query_u64(req, "limit", SEARCH_LIMIT, SEARCH_LIMIT_MAX, &limit, &e);
	if (r == 0) {
		name_unescape(&query, text, strlen(text));
		r = buf_ok(&query, "api", &e);
	}
	if (r == 0)
		r = api_use(req, &use, &e);
	uint32_t volume = r == 0 && at.volume == 0 ? use->default_volume : at.volume;
	if (r == 0 && (r = session_search(use->session, at, buf_str(&query), query.len, limit, &st, &e)) < 0)
		hub_use_release(use);
	if (r == 0)
		r = lister_open(use, st, NULL, 0, &l, &head, &e);
	if (r < 0) {
		api_error(resp, &e);
		return;
	}
	l->search = true;
	json_object(&l->json);
	json_key_u64(&l->json, "volume", volume);
	json_key(&l->json, "path");
	json_name(&l->json, at.path, at.len);
	json_key_u64(&l->json, "limit", limit);
	json_key(&l->json, "files");
	json_array(&l->json);
	http_body_stream(resp, 200, "application/json", &lister_ops, l, HTTP_LENGTH_UNKNOWN);
}
