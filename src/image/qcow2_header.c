/* The QCOW2 header and its extensions: docs/interop/qcow2.txt, "Header" and "Header extensions". */
#include "layer.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char module[] = "qcow2";

enum {
	HEADER_V2_BYTES = 72,
	HEADER_V3_BYTES = 104,
	HEADER_BYTES_MAX = 64 << 10,      /* of the first cluster read: header, extensions and backing name are there */
	EXTENSIONS_MAX = 256,
	FORMAT_NAME_MAX = 32,
	FEATURE_NAME_BYTES = 46,
	FEATURE_ENTRY_BYTES = FEATURE_NAME_BYTES + 2,
	REFCOUNT_ORDER_MAX = 6,
	SNAPSHOTS_MAX = 65536,
	EXTENDED_L2_CLUSTER_BITS_MIN = 14,
};

enum incompatible_bit {
	INCOMPAT_DIRTY = 0,
	INCOMPAT_CORRUPT = 1,
	INCOMPAT_DATA_FILE = 2,
	INCOMPAT_COMPRESSION = 3,
	INCOMPAT_EXTENDED_L2 = 4,
	INCOMPAT_KNOWN = 5,               /* bits from here on are unknown to us */
};

enum crypt_method { CRYPT_NONE = 0, CRYPT_AES = 1, CRYPT_LUKS = 2 };

enum extension {
	EXT_END = 0,
	EXT_BACKING_FORMAT = 0xe2792aca,
	EXT_FEATURE_NAMES = 0x6803f857,
	EXT_DATA_FILE = 0x44415441,
	EXT_CRYPT_HEADER = 0x0537be77,
};

struct header {
	uint32_t version;
	uint64_t backing_off;
	uint32_t backing_len;
	uint32_t cluster_bits;
	uint64_t size;
	uint32_t crypt_method;
	uint32_t l1_count;
	uint64_t l1_off;
	uint64_t refcount_off;
	uint32_t refcount_clusters;
	uint32_t snapshots;
	uint64_t snapshots_off;
	uint64_t incompatible;
	uint32_t refcount_order;
	uint32_t length;
	uint8_t compression;

	/* from the extensions */
	uint64_t crypt_off, crypt_len;               /* of the LUKS header in the file; 0: not named */
	char backing_format[FORMAT_NAME_MAX];
	char feature_name[FEATURE_NAME_BYTES + 1];   /* of the lowest unknown incompatible bit, "" where not named */
};

static bool bit(const struct header *h, enum incompatible_bit b)
{
	return h->incompatible >> b & 1;
}

static int corrupt(struct err *e, const char *what)
{
	return err_set(e, ERR_IMAGE_CORRUPT, module, "%s", what);
}

static int truncated(struct err *e, const char *what, uint64_t file_size)
{
	return err_set(e, ERR_IMAGE_UNREADABLE, module,
	               "the image is truncated: %s lies beyond the end of the file at %" PRIu64, what, file_size);
}

static int decode(struct rdr *r, struct header *h, struct err *e)
{
	if (rdr_be32(r) != 0x514649fb)
		return err_set(e, ERR_IMAGE_UNREADABLE, module, "not a QCOW2 image: its magic number is missing");
	h->version = rdr_be32(r);
	if (!r->bad && h->version != 2 && h->version != 3)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
		               "QCOW version %" PRIu32 "; versions 2 and 3 can be read", h->version);
	h->backing_off = rdr_be64(r);
	h->backing_len = rdr_be32(r);
	h->cluster_bits = rdr_be32(r);
	h->size = rdr_be64(r);
	h->crypt_method = rdr_be32(r);
	h->l1_count = rdr_be32(r);
	h->l1_off = rdr_be64(r);
	h->refcount_off = rdr_be64(r);
	h->refcount_clusters = rdr_be32(r);
	h->snapshots = rdr_be32(r);
	h->snapshots_off = rdr_be64(r);
	h->refcount_order = 4;
	h->length = HEADER_V2_BYTES;
	if (h->version == 3) {
		h->incompatible = rdr_be64(r);
		rdr_skip(r, 16);   /* compatible and autoclear features change nothing for a reader */
		h->refcount_order = rdr_be32(r);
		h->length = rdr_be32(r);
		if (!r->bad && h->length > HEADER_V3_BYTES)
			h->compression = rdr_u8(r);
	}
	if (r->bad)
		return err_set(e, ERR_IMAGE_UNREADABLE, module, "the image is truncated within its header");
	return 0;
}

/* Text for a message: bytes of an image may be anything. */
static void printable(char *to, size_t size, const uint8_t *from, size_t len)
{
	size_t n = 0;
	while (n < len && n + 1 < size && from[n] != 0) {
		to[n] = from[n] >= ' ' && from[n] < 0x7f ? (char)from[n] : '?';
		n++;
	}
	to[n] = '\0';
}

/* A name to be compared: kept byte for byte, so it must fit and hold no NUL. */
static int take_name(const char **to, const uint8_t *from, size_t len, const char *what, struct err *e)
{
	if (len >= IMAGE_NAME_MAX)
		return err_set(e, ERR_IMAGE_CORRUPT, module,
		               "the %s is %zu bytes long, at most %d are allowed", what, len, IMAGE_NAME_MAX - 1);
	if (memchr(from, 0, len))
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the %s holds a NUL byte", what);
	image_name_drop(to);
	char *copy = len > 0 ? malloc(len + 1) : NULL;
	if (len > 0 && !copy)
		return err_no_memory(e, module);
	if (copy) {
		memcpy(copy, from, len);
		copy[len] = '\0';
		*to = copy;
	}
	return 0;
}

static void find_feature_name(struct header *h, const uint8_t *p, size_t len)
{
	uint64_t unknown = h->incompatible >> INCOMPAT_KNOWN << INCOMPAT_KNOWN;
	if (unknown == 0)
		return;
	unsigned lowest = (unsigned)__builtin_ctzll(unknown);
	for (size_t i = 0; i + FEATURE_ENTRY_BYTES <= len; i += FEATURE_ENTRY_BYTES)
		if (p[i] == 0 && p[i + 1] == lowest)
			printable(h->feature_name, sizeof(h->feature_name), p + i + 2, FEATURE_NAME_BYTES);
}

static int take_extension(struct image_layer *l, struct header *h, uint32_t type, const uint8_t *p, size_t len,
                          struct err *e)
{
	switch (type) {
	case EXT_BACKING_FORMAT:
		if (len >= sizeof(h->backing_format))
			return corrupt(e, "the name of the backing file's format is too long");
		printable(h->backing_format, sizeof(h->backing_format), p, len);
		return 0;
	case EXT_FEATURE_NAMES:
		find_feature_name(h, p, len);
		return 0;
	case EXT_DATA_FILE:
		return take_name(&l->info.data_file_name, p, len, "data file name", e);
	case EXT_CRYPT_HEADER:
		if (len != 16)
			return corrupt(e, "the header extension that names the encryption header has not 16 bytes");
		h->crypt_off = get_be64(p);
		h->crypt_len = get_be64(p + 8);
		return 0;
	default:
		return 0;   /* bitmaps and whatever else comes: of no concern to reading */
	}
}

static int read_extensions(struct image_layer *l, struct header *h, struct rdr *r, struct err *e)
{
	rdr_seek(r, h->length);
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		if (rdr_left(r) < 8)
			return 0;   /* a table that fills its space needs no end mark */
		uint32_t type = rdr_be32(r);
		uint32_t len = rdr_be32(r);
		if (type == EXT_END)
			return 0;
		const uint8_t *p = rdr_take(r, len);
		if (!p)
			return corrupt(e, "a header extension is longer than the header's cluster");
		int ret = take_extension(l, h, type, p, len, e);
		if (ret < 0)
			return ret;
		rdr_skip(r, min_size(-len & 7, rdr_left(r)));
	}
	return err_set(e, ERR_LIMIT, module, "more than %d header extensions", EXTENSIONS_MAX);
}

/* LUKS is read by QEMU, which is given the passphrase; the AES of old is broken, and QEMU itself reads it no more but to convert it. */
static int check_crypt(const struct image_layer *l, const struct header *h, struct err *e)
{
	if (h->crypt_method == CRYPT_NONE)
		return 0;
	if (h->crypt_method != CRYPT_LUKS)
		return err_set(e, ERR_IMAGE_ENCRYPTED, module, "the image is encrypted (%s), which cannot be read: only LUKS can",
		               h->crypt_method == CRYPT_AES ? "the legacy AES method" : "unknown method");
	if (h->crypt_off == 0 || h->crypt_len == 0 || h->crypt_off % (UINT64_C(1) << h->cluster_bits) != 0)
		return corrupt(e, "the image is encrypted (LUKS) but does not say where its LUKS header is");
	if (!range_inside(h->crypt_off, h->crypt_len, l->info.file_size))
		return truncated(e, "the LUKS header", l->info.file_size);
	if (bit(h, INCOMPAT_DATA_FILE))
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module, "the image is encrypted and keeps its data in an external file");
	return 0;
}

static int check_features(const struct header *h, struct err *e)
{
	uint64_t unknown = h->incompatible >> INCOMPAT_KNOWN << INCOMPAT_KNOWN;
	if (unknown != 0)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
		               "the image needs the unknown feature %s%s(incompatible bit %d)",
		               h->feature_name, h->feature_name[0] ? " " : "", __builtin_ctzll(unknown));
	if (bit(h, INCOMPAT_CORRUPT))
		return corrupt(e, "the image is marked corrupt; repair a copy with qemu-img check -r all");
	if (h->compression > 1)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module, "compression type %u; zlib and zstd can be read",
		               h->compression);
	if ((h->compression != 0) != bit(h, INCOMPAT_COMPRESSION))
		return corrupt(e, "the compression type and its feature bit contradict each other");
	if (bit(h, INCOMPAT_EXTENDED_L2) && h->cluster_bits < EXTENDED_L2_CLUSTER_BITS_MIN)
		return corrupt(e, "extended L2 entries need clusters of 16 KiB or more");
	return 0;
}

static int check_geometry(const struct header *h, struct err *e)
{
	if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
		return err_set(e, ERR_IMAGE_CORRUPT, module,
		               "a cluster size of 2^%" PRIu32 " bytes; 512 bytes to 2 MiB are allowed", h->cluster_bits);
	if (h->version == 3 && (h->length < HEADER_V3_BYTES || h->length % 8 != 0))
		return err_set(e, ERR_IMAGE_CORRUPT, module, "a header length of %" PRIu32 " bytes", h->length);
	if (h->length > 1U << h->cluster_bits)
		return corrupt(e, "the header is longer than a cluster");
	if (h->refcount_order > REFCOUNT_ORDER_MAX)
		return err_set(e, ERR_IMAGE_CORRUPT, module, "reference counts of 2^%" PRIu32 " bits", h->refcount_order);
	if (h->size > INT64_MAX)
		return err_set(e, ERR_IMAGE_CORRUPT, module, "a virtual size of %" PRIu64 " bytes", h->size);
	if (h->snapshots > SNAPSHOTS_MAX)
		return err_set(e, ERR_LIMIT, module, "%" PRIu32 " internal snapshots, at most %d are allowed",
		               h->snapshots, SNAPSHOTS_MAX);
	return 0;
}

/* The L1 table must cover the virtual size and lie inside the file, behind the header. */
static int check_l1(struct image_layer *l, const struct header *h, struct err *e)
{
	uint64_t cluster = UINT64_C(1) << h->cluster_bits;
	unsigned span_bits = l->l2_bits + l->cluster_bits;
	uint64_t need = (h->size >> span_bits) + ((h->size & ((UINT64_C(1) << span_bits) - 1)) != 0);
	uint64_t bytes = (uint64_t)h->l1_count * 8;
	if (bytes > QCOW2_L1_BYTES_MAX)
		return err_set(e, ERR_LIMIT, module, "an L1 table of %" PRIu64 " bytes, at most %d are allowed", bytes,
		               QCOW2_L1_BYTES_MAX);
	if (h->l1_count < need)
		return err_set(e, ERR_IMAGE_CORRUPT, module,
		               "the L1 table has %" PRIu32 " entries, the virtual size needs %" PRIu64, h->l1_count, need);
	if (h->l1_off % cluster != 0)
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the L1 table's offset %#" PRIx64 " is not aligned",
		               h->l1_off);
	if (h->l1_count > 0 && h->l1_off < cluster)
		return corrupt(e, "the L1 table overlaps the header");
	if (!range_inside(h->l1_off, bytes, l->info.file_size))
		return truncated(e, "the L1 table", l->info.file_size);
	l->l1_off = h->l1_off;
	l->l1_count = need;
	return 0;
}

static int check_refcounts(const struct image_layer *l, const struct header *h, struct err *e)
{
	uint64_t cluster = UINT64_C(1) << h->cluster_bits;
	if (h->refcount_off % cluster != 0)
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the refcount table's offset %#" PRIx64 " is not aligned",
		               h->refcount_off);
	/* Not needed for reading, but its absence betrays a file that was cut off. */
	if (h->refcount_off > l->info.file_size)
		return truncated(e, "the refcount table", l->info.file_size);
	return 0;
}

/* What a header may call a backing file's format. Protocol names in that place mean plain bytes. */
static int backing_format(const char *name, enum image_format *ret, struct err *e)
{
	static const char *const plain[] = {"raw", "file", "host_device", "nbd"};
	if (name[0] == '\0') {
		*ret = IMAGE_AUTO;
		return 0;
	}
	if (strcmp(name, "qcow2") == 0) {
		*ret = IMAGE_QCOW2;
		return 0;
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(name, plain[i]) == 0) {
			*ret = IMAGE_RAW;
			return 0;
		}
	}
	return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
	               "the backing file has the format \"%s\"; QCOW2 and raw images can be read", name);
}

static int read_backing(struct image_layer *l, const struct header *h, const uint8_t *head, size_t len, struct err *e)
{
	if (h->backing_off == 0 || h->backing_len == 0)
		return 0;
	if (!range_inside(h->backing_off, h->backing_len, len))
		return corrupt(e, "the backing file name lies outside the header's cluster");
	int r = take_name(&l->info.backing_name, head + h->backing_off, h->backing_len, "backing file name", e);
	return r < 0 ? r : backing_format(h->backing_format, &l->info.backing_format, e);
}

static void fill_info(struct image_layer *l, const struct header *h)
{
	struct image_layer_info *info = &l->info;
	info->version = h->version;
	/* A guest sees whole sectors; QEMU does not show the rest of an odd size either. */
	info->virtual_size = h->size & ~UINT64_C(511);
	info->cluster_size = 1U << h->cluster_bits;
	info->dirty = bit(h, INCOMPAT_DIRTY);
	info->encrypted = h->crypt_method == CRYPT_LUKS;
	info->has_data_file = bit(h, INCOMPAT_DATA_FILE);
	info->extended_l2 = bit(h, INCOMPAT_EXTENDED_L2);
	info->compression_zstd = h->compression == 1;
	l->cluster_bits = h->cluster_bits;
	l->entry_size = info->extended_l2 ? 16 : 8;
	l->l2_bits = h->cluster_bits - (info->extended_l2 ? 4 : 3);
	if (info->has_data_file) {
		l->data_fd = -1;
		l->data_size = 0;
	} else {
		image_name_drop(&info->data_file_name);
	}
}

static int parse(struct image_layer *l, const uint8_t *head, size_t len, struct err *e)
{
	struct header h = {0};
	struct rdr rdr = rdr_init(head, len);
	int r = decode(&rdr, &h, e);
	if (r == 0)
		r = check_geometry(&h, e);
	if (r < 0)
		return r;

	/* Extensions end where the backing file name begins, or with the cluster. */
	size_t cluster_len = min_size(len, (size_t)1 << h.cluster_bits);
	size_t ext_len = cluster_len;
	if (h.backing_off != 0 && h.backing_off < ext_len)
		ext_len = (size_t)h.backing_off;
	rdr = rdr_init(head, ext_len);
	if (ext_len >= h.length)
		r = read_extensions(l, &h, &rdr, e);
	if (r == 0)
		r = check_features(&h, e);
	if (r == 0)
		r = check_crypt(l, &h, e);
	if (r < 0)
		return r;
	fill_info(l, &h);
	r = check_l1(l, &h, e);
	if (r == 0)
		r = check_refcounts(l, &h, e);
	if (r == 0)
		r = read_backing(l, &h, head, cluster_len, e);
	return r;
}

/* Whether the end mark of the extensions is among these bytes. */
static bool extensions_end(const uint8_t *head, size_t len)
{
	struct rdr r = rdr_init(head, len);
	rdr_seek(&r, 4);
	uint32_t at = HEADER_V2_BYTES;
	if (rdr_be32(&r) >= 3) {
		rdr_seek(&r, 100);
		at = rdr_be32(&r);
	}
	rdr_seek(&r, at);
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		uint32_t type = rdr_be32(&r), n = rdr_be32(&r);
		if (r.bad || type == EXT_END)
			return !r.bad;
		rdr_skip(&r, n);
		rdr_skip(&r, -n & 7);
	}
	return false;
}

/* How much of the file the header needs. With a backing file all of it ends with that file's name, else with the extensions, which
 * is nearly always within the first kilobyte: a chain of a hundred layers is opened without reading 64 KiB of each. */
static size_t head_needed(const uint8_t *head, size_t len)
{
	struct rdr r = rdr_init(head, len);
	rdr_skip(&r, 8);
	uint64_t backing_off = rdr_be64(&r);
	uint32_t backing_len = rdr_be32(&r);
	bool within = backing_off == 0 || backing_len == 0 ? extensions_end(head, len) : range_inside(backing_off, backing_len, len);
	return !r.bad && within ? len : HEADER_BYTES_MAX;
}

int qcow2_header_read(struct image_layer *l, struct err *e)
{
	uint8_t first[HEADER_FIRST_READ];
	size_t len = min_size(sizeof(first), l->info.file_size);
	int r = layer_pread(l->fd, 0, first, len, e);
	if (r < 0)
		return r;
	if (len == l->info.file_size || head_needed(first, len) <= len)
		return parse(l, first, len, e);

	len = min_size(HEADER_BYTES_MAX, l->info.file_size);
	uint8_t *head = malloc(len);
	if (!head)
		return err_no_memory(e, module);
	r = layer_pread(l->fd, 0, head, len, e);
	if (r == 0)
		r = parse(l, head, len, e);
	free(head);
	return r;
}
