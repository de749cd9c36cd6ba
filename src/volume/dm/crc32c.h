/* CRC-32C (Castagnoli), as the kernel's crc32c(): no inversions. Threads: pure. */
#ifndef VOLUME_DM_CRC32C_H
#define VOLUME_DM_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t dm_crc32c(uint32_t crc, const void *p, size_t len);

#endif
