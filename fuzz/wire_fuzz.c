/* What the other end of a worker's socket may send, both ways: a packet through wire_recv in every phase, and its payload
 * through every decoder. The first byte chooses direction and phase. */
#include "base/cleanup.h"
#include "wire/entry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_text(const char *s, size_t size)
{
	if (strnlen(s, size) == size)
		abort();
}

static void decode(const uint8_t *p, size_t len)
{
	struct rdr r = rdr_init(p, len);
	struct wire_entry en;
	wire_entry_get(&r, &en);
	if (!r.bad && (en.kind >= ENTRY_KINDS || en.mode > 07777 || en.name_len == 0 || en.name_len > ENTRY_NAME_MAX ||
	               en.target_len > ENTRY_TARGET_MAX))
		abort();
	r = rdr_init(p, len);
	struct wire_volume v;
	wire_volume_get(&r, &v);
	expect_text(v.label, sizeof(v.label));
	r = rdr_init(p, len);
	struct wire_layer l;
	wire_layer_get(&r, &l);
	expect_text(l.backing_name, sizeof(l.backing_name));
	r = rdr_init(p, len);
	struct err e = ERR_INIT;
	if (wire_get_error(&r, &e) >= 0 || e.code >= 0)
		abort();
	r = rdr_init(p, len);
	struct wire_list_head head;
	wire_list_head_get(&r, &head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t room[WIRE_FRAME_MAX];
	if (size < 2 || size > WIRE_FRAME_MAX)
		return 0;
	decode(data + 1, size - 1);
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	CLEANUP(fd_close) int from = pair[0];
	CLEANUP(fd_close) int to = pair[1];
	if (send(from, data + 1, size - 1, MSG_NOSIGNAL) < 0)
		return 0;
	struct wire_frame f;
	struct err e = ERR_INIT;
	enum wire_direction direction = data[0] & 1 ? WIRE_TO_CLIENT : WIRE_TO_WORKER;
	int r = wire_recv(to, direction, 1U << (data[0] >> 1) % 3, false, room, &f, &e);
	if (r < 0 ? e.code != r : e.code != 0)
		abort();
	if (r == WIRE_FRAME) {
		decode(f.payload.p, f.payload.len);
		wire_frame_close_fds(&f);
	}
	return 0;
}
