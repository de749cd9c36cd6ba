/* LZNT1, [MS-XCA] 2.5: chunks of 4 KiB, each with a 16-bit header; in a chunk groups of a flag byte and eight
 * items, a literal or a 16-bit back reference whose split between distance and length moves as the chunk
 * fills. */
#include "fs/ntfs/decompress.h"

#include "base/bytes.h"

enum {
	CHUNK = 4096,
	CHUNK_COMPRESSED = 0x8000,
	CHUNK_SIGNATURE = 0x7000,
	CHUNK_SIGNATURE_IS = 0x3000,
};

/* Bits of a reference that are its distance, `pos` bytes into the chunk: 4 at first, as many as reach back to
 * the chunk's start later on. */
static unsigned distance_bits(size_t pos)
{
	return pos <= 16 ? 4 : 32 - (unsigned)__builtin_clz((unsigned)(pos - 1));
}

/* Returns the bytes made, or SIZE_MAX. */
static size_t chunk(const uint8_t *in, size_t in_len, uint8_t *out, size_t size)
{
	const uint8_t *end = in + in_len;
	size_t pos = 0;
	while (in < end && pos < size) {
		unsigned flags = *in++;
		if (flags == 0 && end - in >= 8 && size - pos >= 8) {
			memcpy(out + pos, in, 8);
			in += 8;
			pos += 8;
			continue;
		}
		for (unsigned i = 0; i < 8 && in < end && pos < size; i++, flags >>= 1) {
			if (!(flags & 1)) {
				out[pos++] = *in++;
				continue;
			}
			if (end - in < 2)
				return SIZE_MAX;
			unsigned ref = get_le16(in), bits = distance_bits(pos);
			in += 2;
			size_t distance = (ref >> (16 - bits)) + 1u, len = (ref & (0xFFFFu >> bits)) + 3u;
			if (distance > pos || len > size - pos)
				return SIZE_MAX;
			copy_back(out, pos, distance, len, size);
			pos += len;
		}
	}
	return pos;
}

bool lznt1_decompress(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	size_t at = 0, done = 0;
	while (done < out_len && in_len - at >= 2) {
		unsigned header = get_le16(in + at);
		if (header == 0)
			break;
		size_t len = (header & 0xFFFu) + 1u, room = min_size(CHUNK, out_len - done), made;
		at += 2;
		if (len > in_len - at)
			return false;
		if (header & CHUNK_COMPRESSED) {
			if ((header & CHUNK_SIGNATURE) != CHUNK_SIGNATURE_IS)
				return false;
			made = chunk(in + at, len, out + done, room);
			if (made == SIZE_MAX)
				return false;
		} else {
			made = min_size(len, room);
			memcpy(out + done, in + at, made);
		}
		memset(out + done + made, 0, room - made);
		at += len;
		done += room;
	}
	memset(out + done, 0, out_len - done);
	return true;
}
