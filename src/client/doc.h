/* A JSON document that came from the hub, read-only.
 *
 * Looking up never fails: what is not there, null, or of another type reads as the fallback. Pointers live as long as
 * the document. doc may be NULL everywhere.
 */
#ifndef CLIENT_DOC_H
#define CLIENT_DOC_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct doc;

enum { DOC_DEPTH_MAX = 32 };

/* One whole JSON object. Free the result with doc_free; parts of it are borrowed. */
int doc_parse(const char *text, size_t len, struct doc **ret, struct err *e);
void doc_free(struct doc *d);
CLEANUP_DEFINE(doc_free, struct doc *)

bool doc_has(const struct doc *d, const char *key);                        /* there, and not null */
const char *doc_text(const struct doc *d, const char *key);                /* "" */
int64_t doc_number(const struct doc *d, const char *key, int64_t fallback);
bool doc_bool(const struct doc *d, const char *key);                       /* false */
const struct doc *doc_object(const struct doc *d, const char *key);        /* NULL */
size_t doc_count(const struct doc *d, const char *key);                    /* of an array */
const struct doc *doc_at(const struct doc *d, const char *key, size_t i);  /* an array's element */
const char *doc_text_at(const struct doc *d, const char *key, size_t i);   /* of an array of strings; "" */

#endif
