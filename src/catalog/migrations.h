/* The SQL of migrations/, embedded by tools/embed-migrations. migrations[i] has version i + 1. */
#ifndef CATALOG_MIGRATIONS_H
#define CATALOG_MIGRATIONS_H

struct migration {
	unsigned version;
	const char *name;
	const char *checksum;     /* SHA-256 of the up text, hexadecimal */
	const char *up;
	const char *down;
};

extern const struct migration migrations[];
extern const unsigned migration_count;

#endif
