/* Dates and times as DOS packed them, in FAT and exFAT. */
#ifndef FS_DOS_TIME_H
#define FS_DOS_TIME_H

#include "fs/fs.h"

/* date: year - 1980 << 9 | month << 5 | day; time: hour << 11 | minute << 5 | second / 2; hundredths: 0 to
 * 199 to be added. Taken for UTC. False where they are no date; a bad count of hundredths adds none. */
bool dos_time(uint16_t date, uint16_t time, uint8_t hundredths, struct fs_time *ret);

#endif
