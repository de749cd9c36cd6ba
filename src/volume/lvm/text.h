/* lvm text: the configuration syntax in which LVM2 keeps its metadata (lvm2: libdm/libdm-config.c; lvm.conf(5)):
 *
 *	name { … }            a section
 *	name = 5              also 0.5, "text with \" and \\", [ "a", 1, … ]
 *	# to the end of the line
 *
 * The tree points into the text, which the caller keeps. Depth, nodes and lengths are bounded.
 * Threads: pure.
 */
#ifndef VOLUME_LVM_TEXT_H
#define VOLUME_LVM_TEXT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LVM_TEXT_MAX = 16 << 20,
	LVM_TEXT_DEPTH_MAX = 12,         /* sections in sections */
	LVM_TEXT_NODES_MAX = 1 << 20,    /* sections, assignments and values of arrays together */
	LVM_NAME_MAX = 128,              /* of an LV, PV, VG (lvm2: NAME_LEN) */
};

enum lvm_node_kind {
	LVM_SECTION,
	LVM_STRING,
	LVM_NUMBER,
	LVM_ARRAY,
};

struct lvm_str {
	const char *p;        /* not terminated */
	uint32_t len;
};

/* Nodes are named by their index; 0 is the root section and, as a link, "none". */
struct lvm_node {
	enum lvm_node_kind kind;
	struct lvm_str name;          /* empty for a value of an array */
	struct lvm_str string;        /* LVM_STRING: escapes resolved */
	int64_t number;               /* LVM_NUMBER; what is not whole is cut */
	uint32_t first, next;         /* first child (of sections and arrays), next in the same parent */
};

struct lvm_tree {
	struct lvm_node *nodes;       /* owned */
	uint32_t count;
};

/* Parses text[0 … len), in which escapes are resolved in place. ERR_VOLUME_CORRUPT names the line. */
int lvm_text_parse(char *text, size_t len, struct lvm_tree *ret, struct err *e);
void lvm_tree_free(struct lvm_tree *t);

bool lvm_str_is(struct lvm_str s, const char *text);
int lvm_str_compare(struct lvm_str a, struct lvm_str b);

/* The child of that name and kind; 0 for none. */
uint32_t lvm_find(const struct lvm_tree *t, uint32_t parent, const char *name, enum lvm_node_kind kind);
/* Its value; `missing`, or an empty string, where it is not there. */
int64_t lvm_number(const struct lvm_tree *t, uint32_t parent, const char *name, int64_t missing);
struct lvm_str lvm_string(const struct lvm_tree *t, uint32_t parent, const char *name);
/* Whether an array of strings (or a single string) has that value. */
bool lvm_array_has(const struct lvm_tree *t, uint32_t parent, const char *name, const char *value);

#endif
