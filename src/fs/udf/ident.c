/* Label and UUID as libblkid makes them of the volume's names: the label is the logical volume's, the UUID the first
 * 16 characters of the volume set's, which UDF 2.2.2.5 wants to be unique. */
#include "fs/udf/udf.h"

#include <ctype.h>
#include <stdio.h>

enum {
	SCORE_SURE = FS_PROBE_SURE,
	SCORE_RECOGNISED = 30,       /* recognised, but its anchor or its descriptors are lost */
	UUID_CHARS = 16,
	UUID_HALF = 8,
};

static void set_label(const struct udf_volume *v, char *to)
{
	char text[3 * UDF_NAME_BYTES + 1];
	udf_dstring(v->logical_id, sizeof(v->logical_id), text);
	size_t len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len >= FS_LABEL_MAX)
		len = FS_LABEL_MAX - 1;
	memcpy(to, text, len);
	to[len] = '\0';
}

/* Where the second half is not hexadecimal, the first counts with the bytes of four characters more; where that is not
 * either, the bytes of eight characters. */
static void set_uuid(const struct udf_volume *v, char *to, size_t size)
{
	char id[3 * UDF_NAME_BYTES + 1] = "";
	udf_dstring(v->set_id, sizeof(v->set_id), id);
	size_t len = strnlen(id, UUID_CHARS), hex = 0, from;
	if (len < UUID_HALF)
		return;
	while (hex < len && isxdigit((unsigned char)id[hex]))
		hex++;
	from = hex < UUID_HALF ? 0 : hex < UUID_CHARS ? UUID_HALF : UUID_CHARS;
	for (size_t i = 0; i < from; i++)
		to[i] = (char)tolower((unsigned char)id[i]);
	for (size_t i = from, out = from; out < UUID_CHARS; i++, out += 2)
		(void)snprintf(to + out, size - out, "%02x", (uint8_t)id[i]);
	to[UUID_CHARS] = '\0';
}

int udf_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	struct udf_volume v;
	struct err why = ERR_INIT;
	int r = udf_recognise(b, e);
	if (r <= 0)
		return r;
	r = udf_volume_read(b, &v, &why, e);
	if (r < 0)
		return r;
	*ret = (struct fs_ident){.type = "udf"};
	if (r == 0)
		return SCORE_RECOGNISED;
	set_label(&v, ret->label);
	set_uuid(&v, ret->uuid, sizeof(ret->uuid));
	for (unsigned i = 0; i < v.part_count; i++)
		if (v.part[i].found && (v.part[i].start + v.part[i].blocks) * v.block > ret->size)
			ret->size = (v.part[i].start + v.part[i].blocks) * v.block;
	return SCORE_SURE;
}
