/* ring: bulk bytes from a worker to its client, through shared memory.
 *
 *	memfd:  | control page | slot 0 | slot 1 | slot 2 | slot 3 |        RING_SLOTS slots of 256 KiB
 *	          head: slots filled so far      (written by the producer)
 *	          tail: slots emptied so far     (written by the consumer)
 *	          len[RING_SLOTS]: bytes in each slot
 *	eventfds: `data` wakes the consumer, `space` wakes the producer
 *
 * The consumer made the memory and sealed its size, so that a hostile producer cannot shrink it under the consumer's
 * feet. It copies head and len out once, checks them (at most RING_SLOTS filled, at most 256 KiB each) and trusts nothing else. The
 * slots' bytes may change while they are read: a consumer that parses them copies them first.
 *
 * Threads: one producer thread, one consumer thread at a time.
 */
#ifndef WIRE_RING_H
#define WIRE_RING_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RING_SLOTS = 4,
	RING_SLOT_SIZE = 256 << 10,
	RING_CONTROL_SIZE = 4096,
	RING_SIZE = RING_CONTROL_SIZE + RING_SLOTS * RING_SLOT_SIZE,
};

struct ring {
	uint8_t *map;
	int memfd, data_fd, space_fd;        /* owned; -1 for none */
	uint32_t mine;                       /* own copy of the index this side writes */
	size_t used;                         /* producer: bytes put into the slot being filled;
	                                        consumer: bytes taken of the slot being emptied */
	size_t slot_len;                     /* consumer: length of the slot being emptied, checked; 0 none */
};

#define RING_NONE ((struct ring){.memfd = -1, .data_fd = -1, .space_fd = -1})

/* Consumer: makes memory and eventfds. */
int ring_create(struct ring *ret, struct err *e);
/* Producer: takes over the three received descriptors (also on failure). ERR_WORKER_PROTOCOL: memory of another size. */
int ring_attach(int memfd, int data_fd, int space_fd, struct ring *ret, struct err *e);
void ring_release(struct ring *r);

/* --- producer --- */

/* Room in the slot being filled, waiting for one to become free; *cancelled (looked at on every wake of
 * space_fd) ends the wait: ERR_CANCELLED. */
int ring_reserve(struct ring *r, const atomic_bool *cancelled, uint8_t **ret_p, size_t *ret_room, struct err *e);
/* n bytes were written at the reserved place; a full slot is handed over at once. */
void ring_commit(struct ring *r, size_t n);
/* Hands a partly filled slot over. */
void ring_flush(struct ring *r);

/* --- consumer --- */

/* The bytes at hand: *ret_len 0 where there are none now. ERR_WORKER_PROTOCOL for impossible indices. */
int ring_peek(struct ring *r, const uint8_t **ret_p, size_t *ret_len, struct err *e);
/* n of the peeked bytes are done with; an emptied slot goes back to the producer. */
void ring_consume(struct ring *r, size_t n);

#endif
