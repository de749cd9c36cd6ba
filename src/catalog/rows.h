/* Inside the catalog: rows as structs, by a table of their columns. One table serves reading (all columns, in the order
 * of the SELECT) and inserting (the first `stored` ones, bound as ?1, ?2, …). */
#ifndef CATALOG_ROWS_H
#define CATALOG_ROWS_H

#include "catalog/db.h"

struct names {
	const char *const *texts;      /* [0] is "" */
	unsigned count;
};

extern const struct names repository_type_names, backup_type_names, backup_status_names, mount_status_names;

const char *names_text(const struct names *n, unsigned value);
unsigned names_value(const struct names *n, const char *text);      /* 0: unknown */

enum column_kind {
	COLUMN_TEXT,            /* const char *, never NULL in the database */
	COLUMN_OPTIONAL_TEXT,   /* const char *, "" is NULL in the database */
	COLUMN_INT,             /* int64_t */
	COLUMN_OPTIONAL_INT,    /* int64_t, 0 is NULL in the database: times, and the id a new row is given */
	COLUMN_ENUM,            /* an enum, by its name */
};

struct column {
	enum column_kind kind;
	size_t offset;
	const struct names *names;      /* COLUMN_ENUM */
};

struct table {
	const struct column *columns;
	unsigned count;
	unsigned stored;
	size_t size;            /* of the struct */
};

#define TEXT(type, member) {COLUMN_TEXT, offsetof(struct type, member), NULL}
#define OPTIONAL_TEXT(type, member) {COLUMN_OPTIONAL_TEXT, offsetof(struct type, member), NULL}
#define INT(type, member) {COLUMN_INT, offsetof(struct type, member), NULL}
#define OPTIONAL_INT(type, member) {COLUMN_OPTIONAL_INT, offsetof(struct type, member), NULL}
#define ENUM(type, member, list) {COLUMN_ENUM, offsetof(struct type, member), &(list)}

#define TABLE(columns_, stored_, type)                                                             \
	{.columns = (columns_), .count = sizeof(columns_) / sizeof((columns_)[0]), .stored = (stored_),\
	 .size = sizeof(struct type)}

/* ERR_LIMIT: a text above CATALOG_TEXT_MAX. */
int row_bind(sqlite3_stmt *st, const struct table *t, const void *row, struct err *e);
/* The row the statement stands on, as one block. */
int row_read(sqlite3_stmt *st, const struct table *t, void **ret, struct err *e);
/* The first row, or the error `none` with that message; the statement is reset. */
int row_get(struct catalog *c, sqlite3_stmt *st, const struct table *t, void **ret, int none, const char *message,
            struct err *e);
/* All rows; *ret_items is malloc'ed (NULL when there are none). */
int row_list(struct catalog *c, sqlite3_stmt *st, const struct table *t, void ***ret_items, size_t *ret_count,
             struct err *e);
void row_list_free(void **items, size_t count);

#define LIST_FREE_DEFINE(x)                                                                        \
	void catalog_##x##_list_free(struct catalog_##x##_list *l)                                 \
	{                                                                                          \
		row_list_free((void **)l->items, l->count);                                        \
		*l = (struct catalog_##x##_list){0};                                               \
	}

/* ERR_INVALID unless text has 1 … max - 1 bytes; `what` names it. */
int check_text(const char *text, size_t max, const char *what, struct err *e);

extern const struct table repository_table, vm_table, backup_table, disk_table, mount_table;

/* For use inside another function's transaction. */
int repository_must_exist(struct catalog *c, const char *id, struct err *e);
int vm_read(struct catalog *c, const char *context_id, struct catalog_vm **ret, struct err *e);
int vm_write(struct catalog *c, const struct catalog_vm *in, struct err *e);
int backup_read(struct catalog *c, const char *id, struct catalog_backup **ret, struct err *e);
/* What may be stored: ids, type and parent agree, and what it refers to is there. */
int backup_check(struct catalog *c, const struct catalog_backup *in, struct err *e);
int backup_insert(struct catalog *c, const struct catalog_backup *in, struct err *e);
int disk_read(struct catalog *c, int64_t id, struct catalog_disk **ret, struct err *e);
int disk_read_by_index(struct catalog *c, const char *backup_id, int64_t index, struct catalog_disk **ret, struct err *e);
int disk_insert(struct catalog *c, const struct catalog_disk *in, int64_t *ret_id, struct err *e);
int disk_write(struct catalog *c, const struct catalog_disk *in, struct err *e);

/* Of a mount of several disks: the active mount of the same ones, "" where there is none; those that have ended are removed. */
int mount_same_disks(struct catalog *c, const char *backup_id, const int64_t *disk_ids, size_t count,
                     char ret[CATALOG_ID_MAX], struct err *e);
/* The id's rows; the mount's row must be there. */
int mount_disks_insert(struct catalog *c, const char *mount_id, const int64_t *disk_ids, size_t count, struct err *e);

#define MOUNT_ACTIVE "('mounting', 'mounted', 'unmounting')"

#define DISK_SELECT                                                                                \
	"SELECT d.id, d.backup_job_id, d.disk_index, d.vmware_disk_key, d.size_gb, d.size_bytes, d.stored_bytes,"  \
	" d.qcow2_path, d.disk_change_id, d.status, d.parent_backup_id, d.parent_disk_index, j.repository_id,"     \
	" j.vm_backup_context_id, v.vm_name, j.created_at FROM backup_disks d"      \
	" JOIN backup_jobs j ON j.id = d.backup_job_id"                                            \
	" JOIN vm_backup_contexts v ON v.context_id = j.vm_backup_context_id "
#define BACKUP_SELECT                                                                              \
	"SELECT j.id, j.vm_backup_context_id, j.repository_id, j.backup_type, j.status, j.parent_backup_id,"       \
	" j.change_id, j.total_bytes, j.bytes_transferred, j.transfer_speed_bps, j.error_message, j.created_at,"   \
	" j.started_at, j.completed_at, v.vm_name FROM backup_jobs j"                              \
	" JOIN vm_backup_contexts v ON v.context_id = j.vm_backup_context_id "

#endif
