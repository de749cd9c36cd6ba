#include "catalog/rows.h"

#include <string.h>

#define X(symbol, name) [symbol] = name,
static const char *const repository_types[] = {"", CATALOG_REPOSITORY_TYPES(X)};
static const char *const backup_types[] = {"", CATALOG_BACKUP_TYPES(X)};
static const char *const backup_statuses[] = {"", CATALOG_BACKUP_STATUSES(X)};
static const char *const mount_statuses[] = {"", CATALOG_MOUNT_STATUSES(X)};
#undef X

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct names repository_type_names = {repository_types, COUNT(repository_types)};
const struct names backup_type_names = {backup_types, COUNT(backup_types)};
const struct names backup_status_names = {backup_statuses, COUNT(backup_statuses)};
const struct names mount_status_names = {mount_statuses, COUNT(mount_statuses)};

const char *names_text(const struct names *n, unsigned value)
{
	return value < n->count ? n->texts[value] : "";
}

unsigned names_value(const struct names *n, const char *text)
{
	for (unsigned i = 1; text && i < n->count; i++)
		if (strcmp(n->texts[i], text) == 0)
			return i;
	return 0;
}

const char *catalog_repository_type_name(enum catalog_repository_type t)
{
	return names_text(&repository_type_names, t);
}

const char *catalog_backup_type_name(enum catalog_backup_type t)
{
	return names_text(&backup_type_names, t);
}

const char *catalog_backup_status_name(enum catalog_backup_status s)
{
	return names_text(&backup_status_names, s);
}

const char *catalog_mount_status_name(enum catalog_mount_status s)
{
	return names_text(&mount_status_names, s);
}

enum catalog_repository_type catalog_repository_type_from_name(const char *name)
{
	return (enum catalog_repository_type)names_value(&repository_type_names, name);
}

enum catalog_backup_type catalog_backup_type_from_name(const char *name)
{
	return (enum catalog_backup_type)names_value(&backup_type_names, name);
}

enum catalog_backup_status catalog_backup_status_from_name(const char *name)
{
	return (enum catalog_backup_status)names_value(&backup_status_names, name);
}

enum catalog_mount_status catalog_mount_status_from_name(const char *name)
{
	return (enum catalog_mount_status)names_value(&mount_status_names, name);
}
