/* Structured logs on standard error, logfmt, one write(2) a line:
 *
 *	time=2026-11-21T04:38:00.123456Z level=info msg="mount opened" mount_id=… volumes=4
 *
 *	log_info("mount opened", log_str("mount_id", id), log_uint("volumes", n));
 *
 * For programs and the libraries that run them (hub, api, http, cmd); the others return errors. Keys are literals of
 * ours: letters, digits, '_'. Values are quoted where they need it, and escaped so that no value can end the line or
 * fake a field. A line is cut at LOG_LINE_MAX.
 *
 * Threads: any.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_LINE_MAX = 4096 };

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR,
};

enum log_field_kind { LOG_FIELD_STRING, LOG_FIELD_INT, LOG_FIELD_UINT, LOG_FIELD_BOOL, LOG_FIELD_ERR };

struct log_field {
	const char *key;
	enum log_field_kind kind;
	union {
		const char *s;             /* NULL writes an empty value */
		int64_t i;
		uint64_t u;
		bool b;
		const struct err *err;
	};
};

static inline struct log_field log_str(const char *key, const char *s)
{
	return (struct log_field){.key = key, .kind = LOG_FIELD_STRING, .s = s};
}

static inline struct log_field log_int(const char *key, int64_t i)
{
	return (struct log_field){.key = key, .kind = LOG_FIELD_INT, .i = i};
}

static inline struct log_field log_uint(const char *key, uint64_t u)
{
	return (struct log_field){.key = key, .kind = LOG_FIELD_UINT, .u = u};
}

static inline struct log_field log_bool(const char *key, bool b)
{
	return (struct log_field){.key = key, .kind = LOG_FIELD_BOOL, .b = b};
}

/* Three fields: code, module, error. */
static inline struct log_field log_err(const struct err *e)
{
	return (struct log_field){.key = "error", .kind = LOG_FIELD_ERR, .err = e};
}

/* Lines below `level` are not written. LOG_INFO at start. */
void log_set_level(enum log_level level);
/* "debug" | "info" | "warn" | "error" */
bool log_level_from_name(const char *name, enum log_level *ret);
bool log_enabled(enum log_level level);
/* Where lines go; 2 at start. Borrowed. */
void log_set_fd(int fd);

void log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t count);

/* The first field is a dummy, so that no field at all is an initialiser too. */
#define log_at(level, msg, ...)                                                                                        \
	do {                                                                                                           \
		if (log_enabled(level)) {                                                                              \
			const struct log_field log_fields_[] = {{.key = NULL}, ##__VA_ARGS__};                         \
			log_write(level, msg, log_fields_ + 1, sizeof(log_fields_) / sizeof(log_fields_[0]) - 1);      \
		}                                                                                                      \
	} while (0)
#define log_debug(msg, ...) log_at(LOG_DEBUG, msg, ##__VA_ARGS__)
#define log_info(msg, ...) log_at(LOG_INFO, msg, ##__VA_ARGS__)
#define log_warn(msg, ...) log_at(LOG_WARN, msg, ##__VA_ARGS__)
#define log_error(msg, ...) log_at(LOG_ERROR, msg, ##__VA_ARGS__)

#endif
