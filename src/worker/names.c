#include "worker/names.h"

#include "base/path.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MAX = 1 << 16, NUMBER_MAX = 16 };

/* A name, or a path: these have a slash. */
struct text {
	struct text *next;
	unsigned number;                 /* the last one given to what has this name, too */
	size_t len;
	char bytes[];                    /* and a NUL */
};

struct names {
	size_t buckets;
	struct text *bucket[];
};

struct names *names_new(size_t count)
{
	size_t buckets = count < 1 ? 1 : count > BUCKETS_MAX ? BUCKETS_MAX : count;
	struct names *n = calloc(1, sizeof(*n) + buckets * sizeof(n->bucket[0]));
	if (n)
		n->buckets = buckets;
	return n;
}

void names_free(struct names *n)
{
	for (size_t i = 0; n && i < n->buckets; i++) {
		for (struct text *t = n->bucket[i], *next; t; t = next) {
			next = t->next;
			free(t);
		}
	}
	free(n);
}

/* *ret_new: it was not there. */
static int put(struct names *n, const char *bytes, size_t len, struct text **ret, bool *ret_new, struct err *e)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
	struct text **at = &n->bucket[h % n->buckets];
	while (*at && ((*at)->len != len || memcmp((*at)->bytes, bytes, len) != 0))
		at = &(*at)->next;
	*ret_new = !*at;
	if (!*at) {
		*at = calloc(1, sizeof(**at) + len + 1);
		if (!*at)
			return err_no_memory(e, "worker");
		(*at)->number = 1;
		(*at)->len = len;
		memcpy((*at)->bytes, bytes, len);
	}
	*ret = *at;
	return 0;
}

/* The number goes before what looks like the name's ending. */
static int put_numbered(struct names *n, struct text *same, struct text **ret, struct err *e)
{
	const char *dot = memrchr(same->bytes, '.', same->len);
	size_t stem = dot && dot > same->bytes ? (size_t)(dot - same->bytes) : same->len;
	char *room = malloc(same->len + NUMBER_MAX);
	if (!room)
		return err_no_memory(e, "worker");
	bool new = false;
	int r = 0;
	while (r == 0 && !new) {
		memcpy(room, same->bytes, stem);
		size_t len = stem + (size_t)snprintf(room + stem, NUMBER_MAX, " (%u)", ++same->number);
		memcpy(room + len, same->bytes + stem, same->len - stem);
		r = put(n, room, len + same->len - stem, ret, &new, e);
	}
	free(room);
	return r;
}

static int put_unlike(struct names *n, const char *name, size_t len, const char **ret, struct err *e)
{
	struct text *t;
	bool new;
	int r = put(n, name, len, &t, &new, e);
	if (r == 0 && !new)
		r = put_numbered(n, t, &t, e);
	if (r == 0)
		*ret = t->bytes;
	return r;
}

int names_of_path(struct names *n, const char *path, size_t len, const char **ret, struct err *e)
{
	size_t last_len = len;
	const char *last = path_last(path, &last_len);
	struct text *t;
	bool new;
	int r = put(n, path, (size_t)(last - path) + last_len, &t, &new, e);
	if (r < 0 || !new)
		return r;
	r = put_unlike(n, last, last_len, ret, e);
	return r < 0 ? r : 1;
}

int names_of_text(struct names *n, const char *name, const char **ret, struct err *e)
{
	return put_unlike(n, name, strlen(name), ret, e);
}

int names_take(struct names *n, const char *name, struct err *e)
{
	struct text *t;
	bool new;
	return put(n, name, strlen(name), &t, &new, e);
}
