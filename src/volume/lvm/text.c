#include "volume/lvm/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	char *p;
	size_t len, off;
	unsigned line;
	struct lvm_tree *tree;
	uint32_t cap;
	struct err *e;
};

static int bad(struct parser *p, const char *what)
{
	return err_set(p->e, ERR_VOLUME_CORRUPT, "lvm", "line %u of the metadata: %s", p->line, what);
}

/* The next byte that is neither blank nor comment, not taken; 0 at the end. A NUL byte ends the text. */
static char peek(struct parser *p)
{
	bool comment = false;
	for (; p->off < p->len && p->p[p->off] != '\0'; p->off++) {
		char c = p->p[p->off];
		if (c == '\n') {
			p->line++;
			comment = false;
		} else if (!comment && c == '#') {
			comment = true;
		} else if (!comment && !isspace((unsigned char)c)) {
			return c;
		}
	}
	return '\0';
}

static int add_node(struct parser *p, enum lvm_node_kind kind, struct lvm_str name, uint32_t *ret)
{
	struct lvm_tree *t = p->tree;
	if (t->count == p->cap) {
		if (p->cap == LVM_TEXT_NODES_MAX)
			return err_set(p->e, ERR_VOLUME_UNSUPPORTED, "lvm", "the metadata has more than %d entries",
			               LVM_TEXT_NODES_MAX);
		uint32_t cap = p->cap ? 2 * p->cap : 256;
		struct lvm_node *grown = realloc(t->nodes, cap * sizeof(*grown));
		if (!grown)
			return err_no_memory(p->e, "lvm");
		t->nodes = grown;
		p->cap = cap;
	}
	t->nodes[t->count] = (struct lvm_node){.kind = kind, .name = name};
	*ret = t->count++;
	return 0;
}

/* --- Tokens --------------------------------------------------------------------------------------------------- */

static bool name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '+' || c == '.' || c == '/' || c == ':';
}

static struct lvm_str take_name(struct parser *p)
{
	struct lvm_str s = {.p = p->p + p->off};
	while (p->off < p->len && name_char(p->p[p->off])) {
		p->off++;
		s.len++;
	}
	return s;
}

/* From behind the opening quote to behind the closing one. */
static int take_string(struct parser *p, char quote, struct lvm_str *ret)
{
	char *to = p->p + p->off;
	struct lvm_str s = {.p = to};
	while (p->off < p->len && p->p[p->off] != quote) {
		char c = p->p[p->off++];
		if (c == '\\' && quote == '"' && p->off < p->len)
			c = p->p[p->off++];
		if (c == '\n')
			p->line++;
		*to++ = c;
		s.len++;
	}
	if (p->off == p->len)
		return bad(p, "a string without end");
	p->off++;
	*ret = s;
	return 0;
}

/* Digits; a fraction is passed over. Saturates. */
static int take_number(struct parser *p, int64_t *ret)
{
	bool negative = p->p[p->off] == '-';
	if (negative || p->p[p->off] == '+')
		p->off++;
	size_t start = p->off;
	int64_t v = 0;
	for (; p->off < p->len && isdigit((unsigned char)p->p[p->off]); p->off++) {
		int digit = p->p[p->off] - '0';
		v = v > (INT64_MAX - digit) / 10 ? INT64_MAX : v * 10 + digit;
	}
	if (p->off == start)
		return bad(p, "a value that is neither text nor number");
	if (p->off < p->len && p->p[p->off] == '.') {
		p->off++;
		while (p->off < p->len && isdigit((unsigned char)p->p[p->off]))
			p->off++;
	}
	*ret = negative ? -v : v;
	return 0;
}

/* --- Grammar ----------------------------------------------------------------------------------------------------- */

/* A string or a number. */
static int take_scalar(struct parser *p, struct lvm_str name, uint32_t *ret)
{
	struct lvm_str string = {0};
	int64_t number = 0;
	char c = peek(p);
	bool text = c == '"' || c == '\'';
	int r;
	if (text) {
		p->off++;
		r = take_string(p, c, &string);
	} else if (c == '\0') {
		r = bad(p, "it ends within a value");
	} else {
		r = take_number(p, &number);
	}
	if (r == 0)
		r = add_node(p, text ? LVM_STRING : LVM_NUMBER, name, ret);
	if (r < 0)
		return r;
	p->tree->nodes[*ret].string = string;
	p->tree->nodes[*ret].number = number;
	return 0;
}

static int take_array(struct parser *p, struct lvm_str name, uint32_t *ret)
{
	int r = add_node(p, LVM_ARRAY, name, ret);
	uint32_t last = 0;
	p->off++;
	while (r == 0 && peek(p) != ']') {
		uint32_t value;
		r = take_scalar(p, (struct lvm_str){0}, &value);
		if (r < 0)
			return r;
		if (last)
			p->tree->nodes[last].next = value;
		else
			p->tree->nodes[*ret].first = value;
		last = value;
		char c = peek(p);
		if (c == ',')
			p->off++;
		else if (c != ']')
			return bad(p, "an array without end");
	}
	p->off++;
	return r;
}

/* One "name {", "name = value"; *ret_section tells the first. */
static int take_entry(struct parser *p, uint32_t *ret, bool *ret_section)
{
	struct lvm_str name;
	char c = peek(p);
	if (c == '"') {
		p->off++;
		int r = take_string(p, '"', &name);
		if (r < 0)
			return r;
	} else {
		name = take_name(p);
	}
	if (name.len == 0)
		return bad(p, "a name is missing");
	c = peek(p);
	*ret_section = c == '{';
	if (c == '{') {
		p->off++;
		return add_node(p, LVM_SECTION, name, ret);
	}
	if (c != '=')
		return bad(p, "neither \"{\" nor \"=\" behind a name");
	p->off++;
	return peek(p) == '[' ? take_array(p, name, ret) : take_scalar(p, name, ret);
}

static int parse(struct parser *p)
{
	/* The sections that are open, and the last child of each. */
	uint32_t open[LVM_TEXT_DEPTH_MAX + 1] = {0}, last[LVM_TEXT_DEPTH_MAX + 1] = {0};
	unsigned depth = 0;
	uint32_t node;
	int r = add_node(p, LVM_SECTION, (struct lvm_str){0}, &node);
	for (char c; r == 0 && (c = peek(p)) != '\0';) {
		if (c == '}') {
			if (depth == 0)
				return bad(p, "\"}\" without a section");
			depth--;
			p->off++;
			continue;
		}
		bool section = false;
		r = take_entry(p, &node, &section);
		if (r < 0)
			return r;
		if (last[depth])
			p->tree->nodes[last[depth]].next = node;
		else
			p->tree->nodes[open[depth]].first = node;
		last[depth] = node;
		if (!section)
			continue;
		if (depth == LVM_TEXT_DEPTH_MAX)
			return bad(p, "sections lie too deep in each other");
		open[++depth] = node;
		last[depth] = 0;
	}
	return r == 0 && depth > 0 ? bad(p, "it ends within a section") : r;
}

int lvm_text_parse(char *text, size_t len, struct lvm_tree *ret, struct err *e)
{
	if (len > LVM_TEXT_MAX)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "the metadata is larger than %d bytes", LVM_TEXT_MAX);
	struct lvm_tree t = {0};
	struct parser p = {.p = text, .len = len, .line = 1, .tree = &t, .e = e};
	int r = parse(&p);
	if (r < 0) {
		lvm_tree_free(&t);
		return r;
	}
	*ret = t;
	return 0;
}

void lvm_tree_free(struct lvm_tree *t)
{
	free(t->nodes);
	*t = (struct lvm_tree){0};
}

/* --- Looking things up ---------------------------------------------------------------------------------------------- */

bool lvm_str_is(struct lvm_str s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

int lvm_str_compare(struct lvm_str a, struct lvm_str b)
{
	uint32_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.p, b.p, n) : 0;
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

uint32_t lvm_find(const struct lvm_tree *t, uint32_t parent, const char *name, enum lvm_node_kind kind)
{
	for (uint32_t i = t->nodes[parent].first; i; i = t->nodes[i].next) {
		if (t->nodes[i].kind == kind && lvm_str_is(t->nodes[i].name, name))
			return i;
	}
	return 0;
}

int64_t lvm_number(const struct lvm_tree *t, uint32_t parent, const char *name, int64_t missing)
{
	uint32_t i = lvm_find(t, parent, name, LVM_NUMBER);
	return i ? t->nodes[i].number : missing;
}

struct lvm_str lvm_string(const struct lvm_tree *t, uint32_t parent, const char *name)
{
	uint32_t i = lvm_find(t, parent, name, LVM_STRING);
	return i ? t->nodes[i].string : (struct lvm_str){0};
}

bool lvm_array_has(const struct lvm_tree *t, uint32_t parent, const char *name, const char *value)
{
	uint32_t array = lvm_find(t, parent, name, LVM_ARRAY);
	if (!array)
		return lvm_str_is(lvm_string(t, parent, name), value);
	for (uint32_t i = t->nodes[array].first; i; i = t->nodes[i].next) {
		if (t->nodes[i].kind == LVM_STRING && lvm_str_is(t->nodes[i].string, value))
			return true;
	}
	return false;
}
