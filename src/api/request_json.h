/* request_json: the JSON object in a request's body, parsed by json-c. Apart from the rest because json-c and base/json.h
 * use the same names. */
#ifndef API_REQUEST_JSON_H
#define API_REQUEST_JSON_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request_json;

/* An empty text is {}. ERR_INVALID: not one JSON object. */
int request_json_parse(const char *text, size_t len, struct request_json **ret, struct err *e);
void request_json_free(struct request_json *o);
CLEANUP_DEFINE(request_json_free, struct request_json *)

/* A member. Missing or null: the fallback. Of another type: ERR_INVALID naming it. Strings are borrowed from o. */
int request_json_string(struct request_json *o, const char *key, const char *fallback, const char **ret, struct err *e);
int request_json_i64(struct request_json *o, const char *key, int64_t fallback, int64_t *ret, struct err *e);
int request_json_bool(struct request_json *o, const char *key, bool fallback, bool *ret, struct err *e);

/* A member that is a string; false for anything else, and where there is none. */
bool request_json_is_string(struct request_json *o, const char *key);
bool request_json_has(struct request_json *o, const char *key);
/* A list of whole numbers, at most `max`. */
int request_json_i64_list(struct request_json *o, const char *key, int64_t *ret, size_t max, size_t *ret_count,
                          struct err *e);

/* Overwrites a string member: a secret. */
void request_json_wipe(struct request_json *o, const char *key);

/* A list of strings, which may hold NULs. */
int request_json_list(struct request_json *o, const char *key, size_t max, size_t *ret_count, struct err *e);
int request_json_list_at(struct request_json *o, const char *key, size_t i, const char **ret, size_t *ret_len,
                         struct err *e);

#endif
