/* ldm-records: the records of a database of dynamic disks, and what is made of them. The headers around it are sound.
 *
 * Input: a byte: how many disks of the group are there (1 … 3), the phase of the database (bits 2, 3), which disk's database is
 * older (bits 4, 5); then the records, each as its length (2 bytes, little-endian) and its bytes. The disks have the GUIDs
 * 00000000-0000-0000-0000-00000000000N, N from 1 on.
 */
#include "volume_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECTOR = 512,
	DISKS_MAX = 3,
	DISK = 300 << 10,
	PRIVATE = 400,                   /* sectors */
	PRIVATE_LEN = 200,
	CONFIG = 8,
	CONFIG_LEN = 180,
	SLOT = 128,
	SLOT_HEAD = 16,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_be16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void sum(uint8_t *p)
{
	uint32_t v = 0;
	for (unsigned i = 0; i < SECTOR; i++)
		v += i >= 8 && i < 12 ? 0 : p[i];
	put_be32(p + 8, v);
}

static void put_guid(uint8_t *p, unsigned n)
{
	char text[40];
	(void)snprintf(text, sizeof(text), "00000000-0000-0000-0000-%012x", n);
	memcpy(p, text, 36);
}

static void put_headers(uint8_t *disk, unsigned number)
{
	uint8_t *p = disk;
	p[446 + 4] = 0x42;
	put_le32(p + 446 + 8, 1);
	put_le32(p + 446 + 12, PRIVATE - 1);
	p[510] = 0x55;
	p[511] = 0xaa;
	p = disk + 6 * SECTOR;
	memcpy(p, "PRIVHEAD", 8);
	put_be16(p + 12, 2);
	put_be16(p + 14, 12);
	put_guid(p + 0x30, number);
	put_guid(p + 0xb0, 0xffff);
	put_be32(p + 0x10f, SECTOR);
	put_be64(p + 0x11b, 16);
	put_be64(p + 0x123, PRIVATE - 16);
	put_be64(p + 0x12b, PRIVATE);
	put_be64(p + 0x133, PRIVATE_LEN);
	put_be64(p + 0x13b, 1);
	put_be64(p + 0x143, 1);
	sum(p);
	p = disk + (PRIVATE + 1) * SECTOR;
	memcpy(p, "TOCBLOCK", 8);
	memcpy(p + 36, "config", 6);
	put_be64(p + 46, CONFIG);
	put_be64(p + 54, CONFIG_LEN);
	sum(p);
}

/* Cuts the records into slots. */
static void put_database(uint8_t *p, unsigned phase, unsigned age, struct rdr r)
{
	const unsigned slots = CONFIG_LEN * SECTOR / SLOT;
	memcpy(p, "VMDB", 4);
	put_be32(p + 4, slots);
	put_be32(p + 8, SLOT);
	put_be32(p + 12, SECTOR);
	put_be16(p + 0x10, phase);
	put_be16(p + 0x12, 4);
	put_be16(p + 0x14, 10);
	put_guid(p + 0x35, 0xffff);
	put_be64(p + 0x75, age);
	unsigned slot = SECTOR / SLOT;
	for (unsigned group = 1; rdr_left(&r) > 2; group++) {
		size_t said = rdr_le16(&r), len = min_size(said, rdr_left(&r));
		size_t each = SLOT - SLOT_HEAD, parts = (len + each - 1) / each;
		if (slot + parts > slots)
			break;
		for (size_t i = 0; i < parts; i++, slot++) {
			uint8_t *s = p + (size_t)slot * SLOT;
			put_be32(s + 8, group);
			put_be16(s + 12, (unsigned)i);
			put_be16(s + 14, (unsigned)parts);
			rdr_copy(&r, s + SLOT_HEAD, min_size(each, len - i * each));
		}
	}
	for (slot = SECTOR / SLOT; slot < slots; slot++)
		memcpy(p + (size_t)slot * SLOT, "VBLK", 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[DISKS_MAX][DISK];
	struct blk *disks[DISKS_MAX];
	struct err e = ERR_INIT;
	struct rdr r = rdr_init(data, size);
	unsigned how = rdr_u8(&r), count = how % 4 % DISKS_MAX + 1;
	for (unsigned i = 0; i < count; i++) {
		memset(bytes[i], 0, DISK);
		put_headers(bytes[i], i + 1);
		put_database(bytes[i] + (PRIVATE + CONFIG) * SECTOR, (how >> 2 & 3) + 1, (how >> 4 & 3) == i + 1 ? 1 : 2, r);
		if (blk_mem_open(bytes[i], DISK, &disks[i], &e) < 0)
			abort();
	}
	volume_read_all(disks, count);
	for (unsigned i = 0; i < count; i++)
		blk_unref(disks[i]);
	return 0;
}
