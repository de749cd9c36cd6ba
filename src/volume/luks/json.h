/* json: looking things up in the JSON text of a LUKS2 header, in place: no tree, no allocation.
 *
 * The text is a guest's. Values are spans of it; nesting deeper than LUKS_JSON_DEPTH, and what is not JSON, makes a look-up
 * find nothing. Names and strings with escapes match nothing: no field of the specification has any.
 */
#ifndef VOLUME_LUKS_JSON_H
#define VOLUME_LUKS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LUKS_JSON_DEPTH = 32 };

/* A value without the white space around it; p NULL: none. */
struct luks_json {
	const char *p;
	size_t len;
};

/* The value the text begins with. */
struct luks_json luks_json_parse(const char *text, size_t len);
/* The member of that name of an object. */
struct luks_json luks_json_member(struct luks_json object, const char *name);
/* Members of an object, or elements of an array, one after the other: *at begins with 0. False: there are no more.
 * ret_name is none for an element. */
bool luks_json_next(struct luks_json in, size_t *at, struct luks_json *ret_name, struct luks_json *ret_value);

bool luks_json_is(struct luks_json v, const char *string);
/* A string, copied; false where it is none, does not fit, or has escapes. */
bool luks_json_string(struct luks_json v, char *to, size_t size);
/* A whole number, or a string of digits: LUKS2 writes 64-bit numbers as strings. */
bool luks_json_u64(struct luks_json v, uint64_t *ret);

#endif
