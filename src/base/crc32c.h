/* CRC-32C (Castagnoli; RFC 3720, 12.1): of the frames between hub and worker, and of ext, XFS, btrfs and device mapper metadata.
 *
 * Nothing is inverted before or after: the standard checksum of a whole text is ~crc32c(~0, text, len). `crc` is what the bytes
 * before had. Ours, because the library that has it (ISA-L) is a shared one, and finding and relocating it is a twentieth of the
 * time in which `sendense image ls` lists a folder. Threads: pure.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t len);

/* The ways there are; crc32c() takes the best. */
enum crc32c_way {
	CRC32C_PORTABLE,
	CRC32C_LANES,            /* the instruction of SSE 4.2, and PCLMULQDQ */
	CRC32C_WIDE,             /* AVX-512 and VPCLMULQDQ; pieces of 256 bytes or more */
};
/* A certain one, for tests: *crc is replaced; false where this processor cannot. */
bool crc32c_by(enum crc32c_way way, uint32_t *crc, const void *p, size_t len);

#endif
