/* The formats whose tables somebody else reads (QEMU, in a process of its own): what a file is, and what in its header leads to
 * other files or has to be refused by name. Tables are not looked at here.
 *
 * VMDK: "Virtual Disk Format 5.0"; VHD: "Virtual Hard Disk Image Format Specification"; VHDX: [MS-VHDX]; VDI, QED, QCOW:
 * as QEMU has them (docs/interop/qed_spec.txt, block/vdi.c's and block/qcow.c's headers). */
#include "layer.h"

#include "base/bytes.h"
#include "image/vmdk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char module[] = "image";

enum {
	SECTOR = 512,
	VHD_DIFFERENCING = 4,
	QED_BACKING_FILE = 1,
	VDI_DIFFERENCING = 4,
	VDI_TYPE = 0x4c,
	VDI_DATA_OFFSET = 0x158,
	VDI_BLOCK_BYTES = 0x178,
	VDI_BLOCKS_ALLOCATED = 0x184,
	VHDX_REGION_TABLE = 192 << 10,
	VHDX_ENTRIES_MAX = 2047,
	VHDX_METADATA_ENTRIES = 64,          /* looked at: there are five known ones */
	VHDX_HAS_PARENT = 2,
};

#define VMDK_TEXT "# Disk DescriptorFile"

/* Bytes at an offset from the start, or back from the end where the offset is negative. */
static const struct magic {
	enum image_format format;
	int off;
	const char *bytes;
	unsigned len;
} magics[] = {
	{IMAGE_QCOW1, 0, "QFI\xfb\0\0\0\1", 8},
	{IMAGE_QCOW2, 0, "QFI\xfb", 4},
	{IMAGE_VMDK, 0, "KDMV", 4},
	{IMAGE_VMDK, 0, "COWD", 4},
	{IMAGE_VMDK, 0, "\xbe\xba\xfe\xca\0\0\0\0", 8},
	{IMAGE_VMDK, 0, VMDK_TEXT, sizeof(VMDK_TEXT) - 1},
	{IMAGE_VHDX, 0, "vhdxfile", 8},
	{IMAGE_VHD, 0, "conectix", 8},
	{IMAGE_VHD, -SECTOR, "conectix", 8},
	{IMAGE_VDI, 64, "\x7f\x10\xda\xbe", 4},
	{IMAGE_QED, 0, "QED\0", 4},
};

struct ends {
	uint8_t head[SECTOR], tail[SECTOR];
};

static bool has_magic(const struct ends *x, const struct magic *m)
{
	const uint8_t *at = m->off < 0 ? x->tail + SECTOR + m->off : x->head + m->off;
	return memcmp(at, m->bytes, m->len) == 0;
}

/* As what it is said to be, or where nothing is said, as anything. */
static bool known_by_head(const struct ends *x, enum image_format said)
{
	for (unsigned i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (magics[i].off >= 0 && (said == IMAGE_AUTO || said == magics[i].format) && has_magic(x, &magics[i]))
			return true;
	return false;
}

/* The end is looked at only where the beginning says nothing: a fixed VHD has its header there. Of a file that need not be one it may be
 * unreadable: the rest is not. */
static int read_ends(const struct image_layer *l, struct ends *ret, struct err *e)
{
	uint64_t size = l->info.file_size;
	*ret = (struct ends){0};
	int r = layer_pread(l->fd, 0, ret->head, min_size(SECTOR, size), e);
	if (r < 0 || size < SECTOR || known_by_head(ret, l->info.format))
		return r;
	r = layer_pread(l->fd, size - SECTOR, ret->tail, SECTOR, e);
	if (r < 0 && l->info.format == IMAGE_AUTO) {
		err_clear(e);
		memset(ret->tail, 0, SECTOR);
		r = 0;
	}
	return r;
}

int foreign_detect(const struct image_layer *l, enum image_format *ret, struct err *e)
{
	struct ends x;
	int r = read_ends(l, &x, e);
	if (r < 0)
		return r;
	if (memcmp(x.head, "WithoutFreeSpace", 16) == 0 || memcmp(x.head, "WithouFreSpacExt", 16) == 0)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module, "the file is a Parallels image, which cannot be read");
	/* It names other files. A guest can write the like into the first sector of its raw disk: whoever opens the file says that it
	 * is one. */
	if (memcmp(x.head, VMDK_TEXT, sizeof(VMDK_TEXT) - 1) == 0)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
		               "the file looks like a VMDK descriptor; only one whose name ends in .vmdk is followed");
	*ret = IMAGE_RAW;
	for (unsigned i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if (!has_magic(&x, &magics[i]))
			continue;
		*ret = magics[i].format;
		break;
	}
	return 0;
}

/* --- VMDK ----------------------------------------------------------------------------------------- */

static int vmdk_take(struct image_layer *l, struct vmdk_descriptor *d, bool embedded, struct err *e)
{
	if (d->has_parent)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
		               "the VMDK image is a snapshot%s%.200s%s; only disks that stand alone can be read",
		               d->parent[0] ? " of \"" : "", d->parent, d->parent[0] ? "\"" : "");
	if (embedded && d->count != 1)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module, "the VMDK image is the first of %u files of a disk without a "
		               "descriptor file", d->count);
	if (embedded)
		return 0;
	l->extents = STEAL(d->extents);
	l->info.extent_count = d->count;
	l->info.virtual_size = d->sectors * SECTOR;
	return 0;
}

static int vmdk_descriptor(struct image_layer *l, uint64_t off, uint64_t len, bool embedded, struct err *e)
{
	if (len > VMDK_DESCRIPTOR_MAX)
		return err_set(e, ERR_LIMIT, module, "the VMDK descriptor is larger than %d bytes", VMDK_DESCRIPTOR_MAX);
	if (!range_inside(off, len, l->info.file_size))
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the VMDK descriptor lies beyond the end of the file");
	CLEANUP(free_ptr) char *text = malloc(len + 1);
	if (!text)
		return err_no_memory(e, module);
	struct vmdk_descriptor d = {0};
	int r = layer_pread(l->fd, off, text, len, e);
	if (r == 0)
		r = vmdk_descriptor_parse(text, len, &d, e);
	if (r == 0)
		r = vmdk_take(l, &d, embedded, e);
	vmdk_descriptor_free(&d);
	return r;
}

static int vmdk_header(struct image_layer *l, const struct ends *x, struct err *e)
{
	if (memcmp(x->head, VMDK_TEXT, sizeof(VMDK_TEXT) - 1) == 0)
		return vmdk_descriptor(l, 0, l->info.file_size, false, e);
	uint64_t off = get_le64(x->head + 28), sectors = get_le64(x->head + 36);
	if (memcmp(x->head, "KDMV", 4) != 0 || off == 0 || sectors == 0)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
		               "the file is one part of a VMDK disk; open its descriptor, the .vmdk file that names the parts");
	if (off > l->info.file_size / SECTOR || sectors > VMDK_DESCRIPTOR_MAX / SECTOR)
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the VMDK header places its descriptor beyond the end of the file");
	return vmdk_descriptor(l, off * SECTOR, sectors * SECTOR, true, e);
}

/* --- VHDX ----------------------------------------------------------------------------------------- */

static const uint8_t vhdx_metadata_region[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                                 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
static const uint8_t vhdx_file_parameters[16] = {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
                                                 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b};

/* Reads len bytes at off into `to`; false where the file does not have them. */
static bool peek(const struct image_layer *l, uint64_t off, void *to, size_t len)
{
	struct err ignored = ERR_INIT;
	return range_inside(off, len, l->info.file_size) && layer_pread(l->fd, off, to, len, &ignored) == 0;
}

/* Where the metadata region begins; 0: not found. */
static uint64_t vhdx_metadata(const struct image_layer *l)
{
	uint8_t head[16], entry[32];
	if (!peek(l, VHDX_REGION_TABLE, head, sizeof(head)) || memcmp(head, "regi", 4) != 0)
		return 0;
	uint32_t count = get_le32(head + 8);
	for (uint32_t i = 0; i < count && i < VHDX_ENTRIES_MAX; i++) {
		if (!peek(l, VHDX_REGION_TABLE + sizeof(head) + i * sizeof(entry), entry, sizeof(entry)))
			return 0;
		if (memcmp(entry, vhdx_metadata_region, 16) == 0)
			return get_le64(entry + 16);
	}
	return 0;
}

/* What cannot be found here is QEMU's to complain about. */
static bool vhdx_has_parent(const struct image_layer *l)
{
	uint64_t base = vhdx_metadata(l);
	uint8_t head[32], entry[32], params[8];
	if (base == 0 || base > INT64_MAX || !peek(l, base, head, sizeof(head)) || memcmp(head, "metadata", 8) != 0)
		return false;
	unsigned count = get_le16(head + 10);
	for (unsigned i = 0; i < count && i < VHDX_METADATA_ENTRIES; i++) {
		if (!peek(l, base + sizeof(head) + i * sizeof(entry), entry, sizeof(entry)))
			return false;
		if (memcmp(entry, vhdx_file_parameters, 16) == 0)
			return peek(l, base + get_le32(entry + 16), params, sizeof(params)) &&
			       (get_le32(params + 4) & VHDX_HAS_PARENT) != 0;
	}
	return false;
}

/* --- all ------------------------------------------------------------------------------------------ */

static int differencing(const struct image_layer *l, struct err *e)
{
	return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
	               "the %s image holds only what differs from a parent image; such chains cannot be read",
	               image_format_name(l->info.format));
}

/* QEMU would read zeroes where blocks are missing. */
static int vdi_header(const struct image_layer *l, const uint8_t *head, struct err *e)
{
	if (get_le32(head + VDI_TYPE) == VDI_DIFFERENCING)
		return differencing(l, e);
	uint64_t blocks = (uint64_t)get_le32(head + VDI_BLOCKS_ALLOCATED) * get_le32(head + VDI_BLOCK_BYTES);
	if (!range_inside(get_le32(head + VDI_DATA_OFFSET), blocks, l->info.file_size))
		return err_set(e, ERR_IMAGE_UNREADABLE, module,
		               "the image is truncated: %" PRIu32 " blocks of data are not within its %" PRIu64 " bytes",
		               get_le32(head + VDI_BLOCKS_ALLOCATED), l->info.file_size);
	return 0;
}

static int header(struct image_layer *l, const struct ends *x, struct err *e)
{
	const uint8_t *head = x->head;
	const uint8_t *footer = memcmp(x->tail, "conectix", 8) == 0 ? x->tail : head;
	switch (l->info.format) {
	case IMAGE_VMDK:
		return vmdk_header(l, x, e);
	case IMAGE_VHD:
		return get_be32(footer + 60) == VHD_DIFFERENCING ? differencing(l, e) : 0;
	case IMAGE_VHDX:
		return vhdx_has_parent(l) ? differencing(l, e) : 0;
	case IMAGE_VDI:
		return vdi_header(l, head, e);
	case IMAGE_QED:
		return (get_le64(head + 16) & QED_BACKING_FILE) != 0 ? differencing(l, e) : 0;
	case IMAGE_QCOW1:
		if (get_be32(head + 36) != 0)
			return err_set(e, ERR_IMAGE_ENCRYPTED, module, "the QCOW version 1 image is encrypted, which cannot be read");
		return get_be64(head + 8) != 0 ? differencing(l, e) : 0;
	default:
		return err_set(e, ERR_INTERNAL, module, "%s is not a foreign format", image_format_name(l->info.format));
	}
}

int foreign_header_read(struct image_layer *l, struct err *e)
{
	struct ends x;
	int r = read_ends(l, &x, e);
	if (r < 0)
		return r;
	bool found = false;
	for (unsigned i = 0; i < sizeof(magics) / sizeof(magics[0]) && !found; i++)
		found = magics[i].format == l->info.format && has_magic(&x, &magics[i]);
	if (!found && l->info.format == IMAGE_VMDK)
		return err_set(e, ERR_IMAGE_UNREADABLE, module, "the file has neither a VMDK header nor a descriptor; the data of a "
		               "flat disk are opened by its descriptor, or as a raw image");
	if (!found)
		return err_set(e, ERR_IMAGE_UNREADABLE, module, "the file is not a %s image, or its header is destroyed",
		               image_format_name(l->info.format));
	return header(l, &x, e);
}
