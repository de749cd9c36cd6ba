#include "api/api.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIRST = 64 << 10 };               /* bytes waited for before the status is sent */

struct body {
	struct api_stream s;
	uint8_t first[FIRST];
	size_t first_len, first_sent;
	bool ended;
	struct err error;
};

static bool go_on(struct body *b)
{
	if (!b->s.selection[0] && !b->s.tracked)
		return true;
	if (b->s.selection[0]) {
		struct stream_progress p = stream_progress(b->s.stream);
		if (hub_selection_progress(b->s.hub, b->s.selection, &p))
			return true;
	} else if (tracked_progress(b->s.tracked, b->s.track, b->s.at)) {
		return true;
	}
	(void)err_set(&b->error, ERR_CANCELLED, "api", "cancelled");
	return false;
}

static ssize_t body_read(void *arg, void *to, size_t max)
{
	struct body *b = arg;
	if (b->first_sent < b->first_len) {
		size_t n = min_size(max, b->first_len - b->first_sent);
		memcpy(to, b->first + b->first_sent, n);
		b->first_sent += n;
		b->s.at += n;
		return (ssize_t)n;
	}
	if (b->ended)
		return 0;
	if (!go_on(b))
		return HTTP_BODY_FAILED;
	ssize_t n = stream_read(b->s.stream, to, max, &b->error);
	if (n == STREAM_WAIT)
		return HTTP_BODY_WAIT;
	b->ended = n == STREAM_END;
	b->s.at += n > 0 ? (uint64_t)n : 0;
	return n < 0 ? HTTP_BODY_FAILED : n;
}

static void body_wait(void *arg, void (*wake)(void *), void *wake_arg)
{
	stream_on_ready(((struct body *)arg)->s.stream, wake, wake_arg);
}

static void count_restore(struct hub *h)
{
	struct err ignored = ERR_INIT;
	(void)catalog_counter_add(hub_catalog(h), CATALOG_COUNTER_RESTORES, 1, NULL, &ignored);
}

static void body_close(void *arg, bool completed)
{
	struct body *b = arg;
	if (completed && b->s.counts)
		count_restore(b->s.hub);
	if (b->s.selection[0]) {
		struct stream_progress p = stream_progress(b->s.stream);
		(void)hub_selection_progress(b->s.hub, b->s.selection, &p);
		hub_selection_keep_lost(b->s.hub, b->s.selection, b->s.stream);
		if (!completed && b->error.code == 0)
			(void)err_set(&b->error, ERR_CANCELLED, "api", "the download was broken off by the client");
		hub_selection_end(b->s.hub, b->s.selection, completed ? NULL : &b->error);
	}
	if (b->s.tracked) {
		(void)tracked_progress(b->s.tracked, b->s.track, b->s.at);
		tracked_end(b->s.tracked, b->s.track, completed ? NULL : &b->error);
	}
	stream_close(b->s.stream);
	hub_use_release(b->s.use);
	free(b);
}

static const struct http_body_ops body_ops = {.read = body_read, .wait = body_wait, .close = body_close};

static void give_up(const struct api_stream *s, const struct err *why)
{
	if (s->selection[0])
		hub_selection_end(s->hub, s->selection, why);
	if (s->tracked)
		tracked_end(s->tracked, s->track, why);
	stream_close(s->stream);
	hub_use_release(s->use);
}

void api_stream_answer(struct http_response *resp, unsigned status, const char *type, uint64_t length,
                       const struct api_stream *s)
{
	struct err e = ERR_INIT;
	struct body *b = malloc(sizeof(*b));
	if (!b) {
		(void)err_no_memory(&e, "api");
		give_up(s, &e);
		api_error(resp, &e);
		return;
	}
	b->s = *s;
	b->first_sent = 0;
	b->error = ERR_INIT;
	ssize_t n = stream_read_wait(s->stream, b->first, FIRST, &e);
	if (n < 0) {
		free(b);
		give_up(s, &e);
		api_error(resp, &e);
		return;
	}
	b->first_len = (size_t)n;
	b->ended = n == STREAM_END;
	http_body_stream(resp, status, type, &body_ops, b, length);
}

static ssize_t read_nothing(void *arg, void *to, size_t max)
{
	(void)arg;
	(void)to;
	(void)max;
	return 0;
}

void api_stream_head(struct http_response *resp, const char *type)
{
	static const struct http_body_ops none = {.read = read_nothing};
	http_body_stream(resp, 200, type, &none, NULL, HTTP_LENGTH_UNKNOWN);
}

/* --- content types -------------------------------------------------------------------------------- */

struct mime {
	const char *suffix, *type;
	bool shown;                      /* harmless when shown inline */
};

/* Text that a browser would run or style (HTML, SVG, XML) is told to be plain text. */
static const struct mime mimes[] = {
	{"txt", "text/plain; charset=utf-8", true},   {"log", "text/plain; charset=utf-8", true},
	{"md", "text/plain; charset=utf-8", true},    {"conf", "text/plain; charset=utf-8", true},
	{"cfg", "text/plain; charset=utf-8", true},   {"ini", "text/plain; charset=utf-8", true},
	{"yml", "text/plain; charset=utf-8", true},   {"yaml", "text/plain; charset=utf-8", true},
	{"sh", "text/plain; charset=utf-8", true},    {"py", "text/plain; charset=utf-8", true},
	{"c", "text/plain; charset=utf-8", true},     {"h", "text/plain; charset=utf-8", true},
	{"js", "text/plain; charset=utf-8", true},    {"css", "text/plain; charset=utf-8", true},
	{"html", "text/plain; charset=utf-8", true},  {"htm", "text/plain; charset=utf-8", true},
	{"xml", "text/plain; charset=utf-8", true},   {"svg", "text/plain; charset=utf-8", true},
	{"csv", "text/plain; charset=utf-8", true},   {"json", "text/plain; charset=utf-8", true},
	{"sql", "text/plain; charset=utf-8", true},   {"bat", "text/plain; charset=utf-8", true},
	{"png", "image/png", true},                   {"jpg", "image/jpeg", true},
	{"jpeg", "image/jpeg", true},                 {"gif", "image/gif", true},
	{"webp", "image/webp", true},                 {"bmp", "image/bmp", true},
	{"ico", "image/x-icon", true},                {"pdf", "application/pdf", true},
	{"mp3", "audio/mpeg", true},                  {"ogg", "audio/ogg", true},
	{"oga", "audio/ogg", true},                   {"wav", "audio/wav", true},
	{"flac", "audio/flac", true},                 {"m4a", "audio/mp4", true},
	{"mp4", "video/mp4", true},                   {"webm", "video/webm", true},
	{"ogv", "video/ogg", true},                   {"mov", "video/quicktime", true},
	{"zip", "application/zip", false},            {"gz", "application/gzip", false},
	{"tar", "application/x-tar", false},          {"xz", "application/x-xz", false},
	{"zst", "application/zstd", false},           {"7z", "application/x-7z-compressed", false},
	{"doc", "application/msword", false},         {"xls", "application/vnd.ms-excel", false},
	{"ppt", "application/vnd.ms-powerpoint", false},
	{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", false},
	{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", false},
	{"odt", "application/vnd.oasis.opendocument.text", false},
	{"ods", "application/vnd.oasis.opendocument.spreadsheet", false},
};

enum { MIMES = sizeof(mimes) / sizeof(mimes[0]), SUFFIX_MAX = 8 };

const char *api_mime(const char *name, size_t len)
{
	const char *dot = memrchr(name, '.', len);
	size_t n = dot ? len - (size_t)(dot + 1 - name) : 0;
	if (n == 0 || n > SUFFIX_MAX || dot == name)
		return "application/octet-stream";
	for (unsigned i = 0; i < MIMES; i++)
		if (strlen(mimes[i].suffix) == n && strncasecmp(dot + 1, mimes[i].suffix, n) == 0)
			return mimes[i].type;
	return "application/octet-stream";
}

bool api_mime_shown(const char *type)
{
	for (unsigned i = 0; i < MIMES; i++)
		if (mimes[i].shown && strcmp(mimes[i].type, type) == 0)
			return true;
	return false;
}
