/* A streaming JSON writer (RFC 8259) onto a struct buf, without white space.
 *
 *	struct json j = json_init(&out);
 *	json_object(&j);
 *	json_key(&j, "count"); json_u64(&j, 2);
 *	json_key_string(&j, "name", name);
 *	json_object_end(&j);
 *
 * Commas are the writer's. Misuse (a value without its key, an end that does not match, too deep) is a bug and asserts.
 * Nothing but the struct holds state: the caller may drain and buf_reset() the buffer at any point and go on. Failure
 * shows in the buffer alone: ask buf_ok() once.
 *
 * Text that is not valid UTF-8: json_string writes U+FFFD for each bad byte; json_name, for file names, the reversible
 * escape of base/utf8.h.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 63 };

struct json {
	struct buf *out;
	uint64_t objects;      /* bit d: level d is an object, else an array */
	unsigned depth;        /* 0: outside */
	bool comma;            /* a value stands before, at this level */
	bool keyed;            /* a key waits for its value */
};

static inline struct json json_init(struct buf *out)
{
	return (struct json){.out = out};
}

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);

/* key: plain ASCII that needs no escape, a literal of ours. */
void json_key(struct json *j, const char *key);

void json_string(struct json *j, const char *s);           /* NULL writes null */
void json_string_n(struct json *j, const void *s, size_t len);
void json_name(struct json *j, const void *name, size_t len);
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* A whole JSON value made elsewhere. */
void json_raw(struct json *j, const void *text, size_t len);
/* A string with `fmt`, at most 1,024 bytes of it. */
void json_stringf(struct json *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void json_key_string(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_string(j, s);
}

static inline void json_key_u64(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_u64(j, v);
}

static inline void json_key_i64(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_i64(j, v);
}

static inline void json_key_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}

static inline void json_key_null(struct json *j, const char *key)
{
	json_key(j, key);
	json_null(j);
}

/* One whole value has been written. */
bool json_done(const struct json *j);

#endif
