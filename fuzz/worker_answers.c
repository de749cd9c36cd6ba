#include "worker_fuzz.h"

#include "volume/volume.h"
#include "wire/entry.h"

static struct rdr next_record(struct rdr *r)
{
	size_t len = rdr_le32(r);
	struct rdr record = rdr_init(rdr_take(r, len), len);
	must(!r->bad && len <= ENTRY_RECORD_MAX);
	return record;
}

void check_listing(const struct buf *entries, bool counted)
{
	struct rdr r = rdr_init(entries->data, entries->len);
	uint64_t directories = 1, listed = 0;
	do {
		struct wire_list_head head;
		struct rdr record = next_record(&r);
		wire_list_head_get(&record, &head);
		must(!record.bad && rdr_left(&record) == 0 && (head.why.code == 0 || (listed > 0 && head.why.code != ERR_INTERNAL)));
		listed++;
		uint64_t count = 0;
		for (; count < head.count && rdr_left(&r) > 0; count++) {
			struct wire_entry en;
			record = next_record(&r);
			wire_entry_get(&record, &en);
			must(!record.bad && rdr_left(&record) == 0);
			directories += en.kind == ENTRY_DIRECTORY && !(en.flags & ENTRY_BROKEN);
		}
		must(!counted || count == head.count);
	} while (rdr_left(&r) > 0);
	/* Of all that are below, or of one. */
	must(listed == 1 || listed == directories);
}

static void check_error(struct rdr *r)
{
	size_t len;
	int code = (int)rdr_le32(r);
	must(wire_get_str(r, ERR_MSG_MAX - 1, &len) && wire_error_allowed(code) && code != ERR_INTERNAL);
}

static void check_layers(struct rdr *r)
{
	struct wire_layer l;
	for (unsigned n = rdr_le16(r); n > 0; n--)
		wire_layer_get(r, &l);
	if (rdr_left(r) > 0)
		check_error(r);
}

static void check_volumes(struct rdr *r)
{
	struct wire_volume v;
	must(rdr_le32(r) <= VOLUME_MAX);
	for (uint32_t n = rdr_le32(r); n > 0 && !r->bad; n--)
		wire_volume_get(r, &v);
}

static void check_stat(struct rdr *r)
{
	struct wire_entry en;
	size_t len;
	must(rdr_le32(r) > 0);
	wire_entry_get(r, &en);
	for (uint32_t n = rdr_le32(r); n > 0 && !r->bad; n--) {
		(void)wire_get_str(r, WIRE_FRAME_MAX, &len);
		(void)rdr_le32(r);
		(void)wire_get_str(r, WIRE_FRAME_MAX, &len);
	}
	for (uint32_t n = rdr_le32(r); n > 0 && !r->bad; n--) {
		(void)wire_get_str(r, WIRE_FRAME_MAX, &len);
		(void)rdr_le64(r);
	}
	(void)rdr_u8(r);
}

/* OPENED and UNLOCKED; the former goes on with why disks are missing. */
static void check_opened(struct rdr *r, bool disks)
{
	size_t len;
	uint32_t volumes = rdr_le32(r);
	must(volumes <= VOLUME_MAX && rdr_le32(r) <= volumes);
	for (uint32_t n = rdr_le32(r); n > 0 && !r->bad; n--)
		(void)wire_get_str(r, WIRE_WARNING_LEN - 1, &len);
	for (uint32_t n = disks ? rdr_le32(r) : 0; n > 0 && !r->bad; n--)
		(void)wire_get_str(r, WIRE_MISSING_LEN - 1, &len);
}

void check_answer(enum wire_type type, struct rdr *r)
{
	struct wire_layer l;
	struct wire_extent x;
	switch (type) {
	case WIRE_ERROR: check_error(r); break;
	case WIRE_LAYERS_INFO: check_layers(r); break;
	case WIRE_LAYER_INFO: wire_layer_get(r, &l); break;
	case WIRE_EXTENT_INFO: wire_extent_get(r, &x); break;
	case WIRE_VOLUME_LIST: check_volumes(r); break;
	case WIRE_STAT_INFO: check_stat(r); break;
	case WIRE_OPENED: check_opened(r, true); break;
	case WIRE_UNLOCKED: check_opened(r, false); break;
	case WIRE_DONE: rdr_skip(r, 20); break;
	case WIRE_MEASURED: rdr_skip(r, 40); break;
	case WIRE_READY: rdr_skip(r, 8); break;
	default: break;
	}
	must(!r->bad && rdr_left(r) == 0);
}
