/* Mounts of several disks: table restore_mount_disks. */
#include "catalog/rows.h"

#include <stdio.h>
#include <string.h>

static const struct column columns[] = {
	INT(catalog_mount_disk, position),         INT(catalog_mount_disk, id),
	INT(catalog_mount_disk, disk_index),       INT(catalog_mount_disk, size_bytes),
	TEXT(catalog_mount_disk, qcow2_path),      OPTIONAL_TEXT(catalog_mount_disk, missing),
};
static const struct table mount_disk_table = TABLE(columns, 0, catalog_mount_disk);

LIST_FREE_DEFINE(mount_disk)

int catalog_mount_disks(struct catalog *c, const char *mount_id, struct catalog_mount_disk_list *ret, struct err *e)
{
	catalog_lock(c);
	sqlite3_stmt *st;
	void **items;
	size_t count;
	int r = db_prepare(c,
	                   "SELECT 0 AS position, d.id, d.disk_index, d.size_bytes, d.qcow2_path, NULL AS missing FROM restore_mounts m "
	                   "JOIN backup_disks d ON d.id = m.backup_disk_id WHERE m.id = ?1 UNION ALL "
	                   "SELECT x.position, d.id, d.disk_index, d.size_bytes, d.qcow2_path, x.missing FROM restore_mount_disks x "
	                   "JOIN backup_disks d ON d.id = x.backup_disk_id WHERE x.mount_id = ?1 ORDER BY position",
	                   &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, mount_id);
		r = row_list(c, st, &mount_disk_table, &items, &count, e);
	}
	catalog_unlock(c);
	if (r >= 0)
		*ret = (struct catalog_mount_disk_list){(struct catalog_mount_disk **)items, count};
	return r;
}

int catalog_mount_set_missing(struct catalog *c, const char *mount_id, int64_t disk_id, const char *why, struct err *e)
{
	int r = check_text(why, CATALOG_TEXT_MAX, "why the disk is missing", e);
	if (r >= 0)
		r = db_begin(c, e);
	if (r < 0)
		return r;
	sqlite3_stmt *st;
	r = db_prepare(c, "UPDATE restore_mount_disks SET missing = ?3 WHERE mount_id = ?1 AND backup_disk_id = ?2", &st, e);
	if (r >= 0) {
		db_bind_text(st, 1, mount_id);
		(void)sqlite3_bind_int64(st, 2, disk_id);
		db_bind_text(st, 3, why);
		r = db_run(c, st, e);
	}
	if (r >= 0 && sqlite3_changes(c->db) == 0)
		r = err_set(e, ERR_MOUNT_NOT_FOUND, "catalog", "there is no such mount of several disks");
	return db_end(c, r, e);
}

/* The mount whose disks are these, in this order, active or not; "" where there is none. */
static int find_same(struct catalog *c, const char *backup_id, const int64_t *disk_ids, size_t count,
                     char ret[CATALOG_ID_MAX], bool *ret_active, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c,
	                   "SELECT m.id, m.status IN " MOUNT_ACTIVE ", x.backup_disk_id FROM restore_mounts m "
	                   "JOIN restore_mount_disks x ON x.mount_id = m.id WHERE m.backup_job_id = ?1 ORDER BY m.id, x.position",
	                   &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, backup_id);
	char id[CATALOG_ID_MAX] = "";
	bool active = false;
	size_t seen = 0, same = 0;
	ret[0] = '\0';
	while ((r = db_step(c, st, e)) == 1) {
		const char *next = (const char *)sqlite3_column_text(st, 0);
		if (strcmp(next, id) != 0) {
			if (seen == count && same == count)
				break;
			(void)snprintf(id, sizeof(id), "%s", next);
			active = sqlite3_column_int64(st, 1) != 0;
			seen = same = 0;
		}
		same += seen < count && disk_ids[seen] == sqlite3_column_int64(st, 2);
		seen++;
	}
	(void)sqlite3_reset(st);
	if (r >= 0 && seen == count && same == count) {
		memcpy(ret, id, sizeof(id));
		*ret_active = active;
	}
	return r < 0 ? r : 0;
}

int mount_same_disks(struct catalog *c, const char *backup_id, const int64_t *disk_ids, size_t count,
                     char ret[CATALOG_ID_MAX], struct err *e)
{
	for (;;) {
		bool active = false;
		int r = find_same(c, backup_id, disk_ids, count, ret, &active, e);
		if (r < 0 || ret[0] == '\0' || active)
			return r;
		sqlite3_stmt *st;
		r = db_prepare(c, "DELETE FROM restore_mounts WHERE id = ?1", &st, e);
		if (r < 0)
			return r;
		db_bind_text(st, 1, ret);
		r = db_run(c, st, e);
		if (r < 0)
			return r;
	}
}

int mount_disks_insert(struct catalog *c, const char *mount_id, const int64_t *disk_ids, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		sqlite3_stmt *st;
		int r = db_prepare(c, "INSERT INTO restore_mount_disks (mount_id, position, backup_disk_id) VALUES (?1, ?2, ?3)", &st, e);
		if (r < 0)
			return r;
		db_bind_text(st, 1, mount_id);
		(void)sqlite3_bind_int64(st, 2, (int64_t)i);
		(void)sqlite3_bind_int64(st, 3, disk_ids[i]);
		r = db_run(c, st, e);
		if (r < 0)
			return r;
	}
	return 0;
}
