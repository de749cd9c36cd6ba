#include "image/vmdk.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char module[] = "vmdk";

enum { WORD_MAX = 32 };

/* A line of the descriptor, or what is left of it. */
struct line {
	const char *p, *end;
};

static bool next_line(struct line *rest, struct line *ret)
{
	if (rest->p == rest->end)
		return false;
	const char *nl = memchr(rest->p, '\n', (size_t)(rest->end - rest->p));
	ret->p = rest->p;
	ret->end = nl ? nl : rest->end;
	rest->p = nl ? nl + 1 : rest->end;
	while (ret->end > ret->p && (ret->end[-1] == '\r' || ret->end[-1] == ' ' || ret->end[-1] == '\t'))
		ret->end--;
	return true;
}

static void skip_blanks(struct line *l)
{
	while (l->p < l->end && (*l->p == ' ' || *l->p == '\t'))
		l->p++;
}

/* The next word without blanks; false where there is none or it is too long. */
static bool take_word(struct line *l, char to[WORD_MAX])
{
	skip_blanks(l);
	size_t n = 0;
	for (; l->p < l->end && *l->p != ' ' && *l->p != '\t'; l->p++) {
		if (n == WORD_MAX - 1)
			return false;
		to[n++] = *l->p;
	}
	to[n] = '\0';
	return n > 0;
}

static bool take_number(struct line *l, uint64_t *ret)
{
	char word[WORD_MAX];
	if (!take_word(l, word))
		return false;
	uint64_t v = 0;
	for (const char *p = word; *p; p++) {
		if (*p < '0' || *p > '9' || !u64_mul(v, 10, &v) || !u64_add(v, (uint64_t)(*p - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

/* "…", up to the closing quote. to: `size` bytes. */
static bool take_quoted(struct line *l, char *to, size_t size)
{
	skip_blanks(l);
	if (l->p == l->end || *l->p != '"')
		return false;
	const char *start = l->p + 1;
	const char *end = memchr(start, '"', (size_t)(l->end - start));
	if (!end || (size_t)(end - start) >= size)
		return false;
	memcpy(to, start, (size_t)(end - start));
	to[end - start] = '\0';
	l->p = end + 1;
	return true;
}

/* Names of files lie beside the descriptor. They come from a stranger: a path would lead anywhere. */
static int check_name(const char *name, struct err *e)
{
	bool bad = name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
	for (const char *p = name; *p; p++)
		bad = bad || (unsigned char)*p < ' ' || *p == 0x7f;
	if (bad)
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the descriptor names a part of the disk by what is no file name");
	if (strpbrk(name, "/\\"))
		return err_set(e, ERR_IMAGE_BACKING_REFUSED, module,
		               "the descriptor names \"%.200s\" as a part of the disk; only files beside it are opened", name);
	return 0;
}

static int parse_kind(const char *word, enum image_extent_kind *ret, struct err *e)
{
	static const struct {
		const char *name;
		enum image_extent_kind kind;
	} kinds[] = {
		{"FLAT", IMAGE_EXTENT_FLAT},
		{"VMFS", IMAGE_EXTENT_FLAT},
		{"SPARSE", IMAGE_EXTENT_SPARSE},
		{"VMFSSPARSE", IMAGE_EXTENT_VMFSSPARSE},
		{"SESPARSE", IMAGE_EXTENT_SESPARSE},
	};
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcasecmp(word, kinds[i].name) != 0)
			continue;
		*ret = kinds[i].kind;
		return 0;
	}
	return err_set(e, ERR_IMAGE_UNSUPPORTED, module, "the VMDK disk has a part of type %s, which cannot be read", word);
}

static int bad_line(struct err *e)
{
	return err_set(e, ERR_IMAGE_CORRUPT, module, "the VMDK descriptor has a line for a part of the disk that makes no sense");
}

/* The rest of a line behind RW or RDONLY. */
static int parse_extent(struct line *l, struct image_extent *ret, struct err *e)
{
	char type[WORD_MAX];
	struct image_extent x = {0};
	if (!take_number(l, &x.sectors) || !take_word(l, type))
		return bad_line(e);
	int r = parse_kind(type, &x.kind, e);
	if (r < 0)
		return r;
	if (x.sectors == 0 || !take_quoted(l, x.name, sizeof(x.name)))
		return bad_line(e);
	skip_blanks(l);
	if (l->p < l->end && !take_number(l, &x.first))
		return bad_line(e);
	if (x.first > VMDK_SECTORS_MAX || (x.first != 0 && x.kind != IMAGE_EXTENT_FLAT))
		return bad_line(e);
	r = check_name(x.name, e);
	if (r == 0)
		*ret = x;
	return r;
}

static int add_extent(struct vmdk_descriptor *d, struct line *l, struct err *e)
{
	struct image_extent x;
	int r = parse_extent(l, &x, e);
	if (r < 0)
		return r;
	if (d->count == IMAGE_EXTENTS_MAX)
		return err_set(e, ERR_LIMIT, module, "the VMDK disk has more than %d parts", IMAGE_EXTENTS_MAX);
	if (x.sectors > VMDK_SECTORS_MAX - d->sectors)
		return err_set(e, ERR_LIMIT, module, "the VMDK disk is larger than 512 TiB");
	struct image_extent *more = reallocarray(d->extents, d->count + 1, sizeof(*more));
	if (!more)
		return err_no_memory(e, module);
	d->extents = more;
	d->extents[d->count++] = x;
	d->sectors += x.sectors;
	return 0;
}

/* True, and the line stands behind "key", blanks and "=". */
static bool take_key(struct line *l, const char *key)
{
	size_t n = strlen(key);
	struct line at = *l;
	if ((size_t)(at.end - at.p) <= n || strncasecmp(at.p, key, n) != 0)
		return false;
	at.p += n;
	skip_blanks(&at);
	if (at.p == at.end || *at.p != '=')
		return false;
	at.p++;
	skip_blanks(&at);
	*l = at;
	return true;
}

static int take_line(struct vmdk_descriptor *d, struct line l, struct err *e)
{
	char word[WORD_MAX];
	skip_blanks(&l);
	if (l.p == l.end || *l.p == '#')
		return 0;
	if (take_key(&l, "parentCID")) {
		d->has_parent = !take_word(&l, word) || strcasecmp(word, "ffffffff") != 0;
		return 0;
	}
	if (take_key(&l, "parentFileNameHint")) {
		(void)take_quoted(&l, d->parent, sizeof(d->parent));
		return 0;
	}
	struct line before = l;
	if (!take_word(&before, word))
		return 0;
	if (strcmp(word, "NOACCESS") == 0)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module, "the VMDK descriptor says that a part of the disk may not be read");
	if (strcmp(word, "RW") != 0 && strcmp(word, "RDONLY") != 0)
		return 0;
	return add_extent(d, &before, e);
}

int vmdk_descriptor_parse(const char *text, size_t len, struct vmdk_descriptor *ret, struct err *e)
{
	if (len > VMDK_DESCRIPTOR_MAX)
		return err_set(e, ERR_LIMIT, module, "the VMDK descriptor is larger than %d bytes", VMDK_DESCRIPTOR_MAX);
	struct vmdk_descriptor d = {0};
	struct line rest = {text, text + strnlen(text, len)}, l;
	int r = 0;
	while (r == 0 && next_line(&rest, &l))
		r = take_line(&d, l, e);
	if (r == 0 && d.count == 0)
		r = err_set(e, ERR_IMAGE_CORRUPT, module, "the VMDK descriptor names no part of the disk");
	if (r < 0)
		vmdk_descriptor_free(&d);
	else
		*ret = d;
	return r;
}

void vmdk_descriptor_free(struct vmdk_descriptor *d)
{
	free(d->extents);
	*d = (struct vmdk_descriptor){0};
}
