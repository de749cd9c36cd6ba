/* view: entries and volumes as JSON, the same in the API and on the command line (the contract's names).
 *
 * Names are guest bytes: they are written with the reversible escape of base/utf8.h. Times are RFC 3339, UTC.
 */
#ifndef SESSION_VIEW_H
#define SESSION_VIEW_H

#include "base/json.h"
#include "session/session.h"

/* One object of a file list. dir: path of the directory it is in, raw bytes ("/" or without a trailing slash);
 * NULL: en->name is the whole path (search results, stat). */
void view_entry(struct json *j, const char *dir, size_t dir_len, const struct wire_entry *en);
/* file-info: the same object with all that the filesystem knows. */
void view_stat(struct json *j, const char *path, size_t path_len, const struct session_stat *st);
/* disk_id: of the catalog; 0: there is none. */
void view_volume(struct json *j, const struct wire_volume *v, int64_t disk_index, int64_t disk_id);

/* "-rw-r--r--", for people. to: 11 bytes. */
void view_mode(char to[11], const struct wire_entry *en);

#endif
