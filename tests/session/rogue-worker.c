/* A worker that speaks the protocol and misbehaves in the one way that is named in its log pipe (descriptor 2, which
 * the test makes a file of one word; a worker's environment and arguments are fixed). "good" is an honest one.
 *
 * Its disk has one volume and any file holds STREAM_BYTES bytes. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "wire/entry.h"
#include "wire/ring.h"

#include "../wire/raw.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAM_BYTES = 700000 };

static char mode[64];
static const atomic_bool never;

static bool is(const char *name)
{
	return strcmp(mode, name) == 0;
}

static void hang(void)
{
	for (;;)
		(void)pause();
}

static void answer(struct buf *b)
{
	struct err e = ERR_INIT;
	(void)wire_send(WIRE_CONTROL_FD, b, NULL, 0, &e);
}

static void answer_ok(uint32_t request)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_OK, request);
	answer(&b);
}

/* A packet past wire_send's checks, with descriptors. */
static void raw_packet(unsigned type, uint32_t request, size_t payload, unsigned fds)
{
	static uint8_t bytes[WIRE_FRAME_MAX * 2];
	put_le16(bytes, (uint16_t)type);
	put_le32(bytes + 4, request);
	(void)raw_send(WIRE_CONTROL_FD, bytes, payload == SIZE_MAX ? 0 : WIRE_HEADER + payload, STDIN_FILENO, fds);
}

static void hello(uint32_t request)
{
	if (is("hello-silent"))
		hang();
	if (is("hello-exit"))
		_exit(7);
	if (is("hello-sigkill"))
		(void)raise(SIGKILL);
	if (is("hello-sigsegv")) {
		(void)signal(SIGSEGV, SIG_DFL);  /* a sanitizer's handler would end it with a status */
		(void)raise(SIGSEGV);
	}
	if (is("hello-sigsys"))
		(void)raise(SIGSYS);
	if (is("hello-close")) {
		(void)close(WIRE_CONTROL_FD);
		hang();
	}
	if (is("hello-type")) {
		answer_ok(request);
		hang();
	}
	if (is("hello-phase")) {
		raw_packet(WIRE_DONE, request, 20, 0);
		hang();
	}
	if (is("hello-empty-packet")) {
		raw_packet(WIRE_READY, request, SIZE_MAX, 4);
		hang();
	}
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	if (is("hello-error")) {
		struct err why = ERR_INIT;
		(void)err_set(&why, ERR_SANDBOX, "rogue", "the sandbox did not hold");
		wire_begin(&b, WIRE_ERROR, request);
		wire_put_error(&b, &why);
	} else {
		wire_begin(&b, WIRE_READY, request);
		wire_put_u32(&b, is("hello-version") ? WIRE_VERSION + 1 : WIRE_VERSION);
		wire_put_u32(&b, 0);
	}
	answer(&b);
}

static void layer(uint32_t request)
{
	if (is("layer-silent"))
		hang();
	if (is("layer-stop"))
		(void)raise(SIGSTOP);
	if (is("layer-oversize"))
		raw_packet(WIRE_LAYER_INFO, request, 5000, 0);
	if (is("layer-huge"))
		raw_packet(WIRE_LAYERS_INFO, request, WIRE_FRAME_MAX, 0);
	if (is("layer-fds"))
		raw_packet(WIRE_LAYERS_INFO, request, 100, 3);
	if (is("layer-many-fds"))
		raw_packet(WIRE_LAYERS_INFO, request, 100, 8);
	if (is("layer-unknown-type"))
		raw_packet(77, request, 0, 0);
	if (is("layer-unknown-number"))
		answer_ok(request + 1000);
	if (is("layer-number-zero"))
		answer_ok(0);
	if (is("layer-abort"))
		abort();
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	if (is("layer-foreign-error")) {
		struct err why = ERR_INIT;
		(void)err_set(&why, ERR_ALREADY_MOUNTED, "rogue", "mounted");
		wire_begin(&b, WIRE_ERROR, request);
		wire_put_error(&b, &why);
		answer(&b);
		return;
	}
	struct wire_layer l = {.format = "raw", .virtual_size = 1 << 20, .file_size = 1 << 20};
	wire_begin(&b, WIRE_LAYERS_INFO, request);
	wire_put_u16(&b, is("layer-more") ? 2 : 1);
	wire_layer_put(&b, &l);
	if (is("layer-more"))
		wire_layer_put(&b, &l);
	if (is("layer-garbage"))
		memset(b.data + WIRE_HEADER, 0xff, b.len - WIRE_HEADER);
	answer(&b);
	if (is("layer-twice"))
		answer(&b);
}

static void open_disk(uint32_t request)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_OPENED, request);
	wire_put_u32(&b, 1);
	wire_put_u32(&b, is("open-default") ? 5 : 1);
	wire_put_u32(&b, is("open-warnings") ? 1000000 : 1);
	wire_put_cstr(&b, "a warning with \033[31mcolour");
	wire_put_u32(&b, is("open-disks") ? 65 : 1);
	wire_put_cstr(&b, "");
	answer(&b);
}

/* Answers with a total and a count that do not fit together. */
static void volumes(uint32_t request)
{
	static unsigned calls;
	struct wire_volume v = {.number = 1, .kind = "disk", .supported = true, .is_default = true};
	uint32_t total = 1, count = 1;
	calls++;
	if (is("volumes-shrink")) {
		total = calls == 1 ? 20 : 0;
		count = calls == 1 ? 10 : UINT32_MAX - 8; /* 10 and this make 1 in 32 bits */
	}
	if (is("volumes-huge"))
		total = count = 4000000;
	if (is("volumes-never"))
		count = 0;
	if (is("volumes-short"))
		total = count = 2;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_VOLUME_LIST, request);
	wire_put_u32(&b, total);
	wire_put_u32(&b, count);
	for (unsigned i = 0; i < (is("volumes-shrink") ? 10 : 1); i++)
		wire_volume_put(&b, &v);
	answer(&b);
}

static struct wire_entry entry(void)
{
	return (struct wire_entry){.name = is("list-slash") ? "a/b" : "file", .name_len = is("list-slash") ? 3 : 4, .kind = ENTRY_FILE,
	                           .size = STREAM_BYTES, .mode = 0644};
}

/* An entry of an archive that is lost, as pack.c would name it but for the one thing that is wrong. */
static void lost(uint32_t request)
{
	static char path[WIRE_PATH_MAX + 1];
	memset(path, 'p', sizeof(path));
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_LOST, request + (is("lost-stranger") ? 1000 : 0));
	if (is("lost-past-end"))
		wire_put_u32(&b, WIRE_PATH_MAX); /* and so many bytes do not follow */
	else
		wire_put_str(&b, path, is("lost-long-path") ? WIRE_PATH_MAX + 1 : 5);
	if (!is("lost-past-end") && !is("lost-no-code"))
		wire_put_cstr(&b, is("lost-long-code") ? "A_CODE_THAT_IS_LONGER_THAN_ANY_CODE_THERE_IS_AND_THEN_SOME_MORE_OF_IT" : "IO_ERROR");
	if (is("lost-nul"))
		wire_put_str(&b, "a\0b", 3);
	else if (!is("lost-past-end") && !is("lost-no-code"))
		wire_put_cstr(&b, "it cannot be read");
	answer(&b);
}

static void stat_file(uint32_t request)
{
	if (is("lost-no-stream"))
		lost(request);
	struct wire_entry en = entry();
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_STAT_INFO, request);
	wire_put_u32(&b, is("stat-volume-zero") ? 0 : 1);
	wire_entry_put(&b, &en);
	wire_put_u32(&b, is("stat-many-xattrs") ? 1000 : is("stat-xattr-nul") ? 1 : 0);
	if (is("stat-xattr-nul")) {
		wire_put_str(&b, "user.x", 6); /* no NUL behind it */
		wire_put_u32(&b, 1);
		wire_put_str(&b, "v", 1);
	}
	wire_put_u32(&b, is("stat-many-streams") ? UINT32_MAX : 0);
	wire_put_u8(&b, 0);
	if (is("stat-empty"))
		wire_begin(&b, WIRE_STAT_INFO, request);
	answer(&b);
}

/* --- streams -------------------------------------------------------------------------------------- */

static struct ring ring;
static uint64_t sent;
static uint32_t crc;

static _Atomic uint32_t *word(size_t off)
{
	return (_Atomic uint32_t *)(void *)(ring.map + off);
}

static void ring_bell(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));
	(void)n;
}

static void put(const void *bytes, size_t len)
{
	struct err e = ERR_INIT;
	for (size_t done = 0; done < len;) {
		uint8_t *p;
		size_t free_bytes;
		if (ring_reserve(&ring, &never, &p, &free_bytes, &e) < 0)
			return;
		size_t n = min_size(free_bytes, len - done);
		memcpy(p, (const uint8_t *)bytes + done, n);
		crc = crc32c(crc, p, n);
		sent += n;
		ring_commit(&ring, n);
		done += n;
	}
}

static void done(uint32_t request, uint64_t bytes, uint32_t check)
{
	ring_flush(&ring);
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_DONE, request);
	wire_put_u64(&b, bytes);
	wire_put_u32(&b, check);
	wire_put_u64(&b, 0);
	answer(&b);
}

static void progress(uint32_t request)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_PROGRESS, request);
	wire_put_u64(&b, 1);
	wire_put_u64(&b, 2);
	wire_put_u64(&b, 3);
	answer(&b);
}

static void lose(uint32_t request)
{
	unsigned count = is("lost-too-many") ? WIRE_LOST_MAX + 1 : is("lost-most") ? WIRE_LOST_MAX : 1;
	for (unsigned i = 0; i < count; i++)
		lost(request);
	if (is("lost-huge"))
		raw_packet(WIRE_LOST, request, WIRE_PATH_MAX + 1025, 0);
	if (is("lost-fds"))
		raw_packet(WIRE_LOST, request, 100, 1);
}

/* Takes every ring of the bell before the reader hears it. */
static void *steal(void *arg)
{
	(void)arg;
	uint64_t count;
	for (;;) {
		ssize_t n = read(ring.data_fd, &count, sizeof(count));
		(void)n;
	}
	return NULL;
}

static uint32_t unanswered;              /* "read-steal": the stream that ends when something else is asked */

static void end_stolen(void)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	struct err why = ERR_INIT;
	(void)err_set(&why, ERR_FILE_CORRUPT, "rogue", "an extent is gone");
	wire_begin(&b, WIRE_ERROR, unanswered);
	wire_put_error(&b, &why);
	answer(&b);
}

static void before_data(uint32_t request)
{
	if (strncmp(mode, "lost-", 5) == 0 && !is("lost-late"))
		lose(request);
	if (is("read-stall"))
		hang();
	if (is("read-wrong-type")) {
		answer_ok(request);
		hang();
	}
	if (is("read-bell"))
		for (;;)
			ring_bell(ring.data_fd);
	if (is("read-flood"))
		for (;;)
			progress(request);
	if (is("read-index")) {
		atomic_store(word(128), 1000);
		atomic_store(word(0), 1000);
		ring_bell(ring.data_fd);
		hang();
	}
	if (is("read-length")) {
		atomic_store(word(128), RING_SLOT_SIZE + 1);
		atomic_store(word(0), 1);
		ring_bell(ring.data_fd);
		hang();
	}
	if (is("read-shrink") && (ftruncate(ring.memfd, 0) == 0 || ftruncate(ring.memfd, 1 << 30) == 0))
		_exit(9);
}

static void read_file(uint32_t request)
{
	static uint8_t chunk[100000];
	if (is("read-steal")) {
		static pthread_t thief;
		unanswered = request;
		if (!thief)
			(void)pthread_create(&thief, NULL, steal, NULL);
		return;
	}
	before_data(request);
	if (is("read-endless"))
		for (;;)
			put(chunk, sizeof(chunk));
	for (unsigned i = 0; i < STREAM_BYTES / sizeof(chunk); i++) {
		memset(chunk, (int)('a' + i), sizeof(chunk));
		put(chunk, sizeof(chunk));
		if (i == 3)
			ring_flush(&ring);
		if (i == 3 && is("read-die"))
			_exit(0);
		if (i == 3 && is("read-stop"))
			(void)raise(SIGSTOP);
	}
	if (is("read-late-error")) {
		ring_flush(&ring);
		CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
		struct err why = ERR_INIT;
		(void)err_set(&why, ERR_FILE_CORRUPT, "rogue", "an extent is gone");
		wire_begin(&b, WIRE_ERROR, request);
		wire_put_error(&b, &why);
		answer(&b);
		return;
	}
	done(request, sent + (is("read-count") ? 1 : 0), crc + (is("read-crc") ? 1 : 0));
	if (is("read-done-twice"))
		done(request, sent, crc);
	if (is("lost-late"))
		lost(request);
}

static void put_record(struct buf *b, size_t lie)
{
	CLEANUP(buf_free) struct buf record = BUF_INIT(4096);
	struct wire_entry en = entry();
	wire_entry_put(&record, &en);
	wire_put_u32(b, (uint32_t)(record.len + lie));
	buf_add(b, record.data, record.len);
}

static void list(uint32_t request)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1 << 16);
	struct wire_list_head head = {.total = 2, .count = 2};
	if (!is("list-no-head")) {
		wire_put_u32(&b, is("list-short-head") ? 4 : 24);
		wire_list_head_put(&b, &head);
	}
	if (is("list-short-head"))
		b.len = 8;
	if (is("list-zero"))
		wire_put_u32(&b, 0);
	if (is("list-huge"))
		wire_put_u32(&b, ENTRY_RECORD_MAX + 1);
	if (!is("list-no-head") && !is("list-short-head")) {
		put_record(&b, 0);
		put_record(&b, is("list-truncated") ? 5 : 0);
	}
	put(b.data, b.len);
	done(request, sent, crc);
}

static void put_head(struct buf *b, uint64_t count, int code)
{
	struct wire_list_head head = {.total = count, .count = count, .why = {.code = code, .msg = "unreadable"}};
	size_t at = b->len;
	wire_put_u32(b, 0);
	wire_list_head_put(b, &head);
	put_le32(b->data + at, (uint32_t)(b->len - at - 4));
}

/* A directory with one in it, and what is said of that. */
static void tree(uint32_t request)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1 << 16);
	put_head(&b, 1, is("tree-top-broken") ? ERR_FS_CORRUPT : 0);
	struct wire_entry en = entry();
	en.kind = ENTRY_DIRECTORY;
	size_t at = b.len;
	wire_put_u32(&b, 0);
	wire_entry_put(&b, &en);
	put_le32(b.data + at, (uint32_t)(b.len - at - 4));
	if (is("tree-broken-with-entries"))
		put_head(&b, 1, ERR_FS_CORRUPT);
	if (is("tree-broken-strangely"))
		put_head(&b, 0, ERR_CATALOG);
	if (is("tree-too-many") || is("tree-cut"))
		put_head(&b, is("tree-cut"), 0);
	if (is("tree-too-many"))
		put_head(&b, 0, 0);
	put(b.data, b.len);
	done(request, sent, crc);
}

static void stream(struct wire_frame *f)
{
	struct err e = ERR_INIT;
	ring_release(&ring);
	sent = 0;
	crc = 0;
	unsigned first = f->fd_count - 3;
	if (ring_attach(f->fds[first], f->fds[first + 1], f->fds[first + 2], &ring, &e) < 0)
		_exit(8);
	f->fd_count = first;
	if (f->type == WIRE_LIST && strncmp(mode, "tree-", 5) == 0)
		tree(f->request);
	else if (f->type == WIRE_LIST)
		list(f->request);
	else
		read_file(f->request);
}

static void handle(struct wire_frame *f)
{
	switch (f->type) {
	case WIRE_HELLO:
		hello(f->request);
		break;
	case WIRE_LAYERS:
		layer(f->request);
		break;
	case WIRE_OPEN:
		open_disk(f->request);
		if (is("deaf"))
			hang();
		break;
	case WIRE_VOLUMES:
		volumes(f->request);
		break;
	case WIRE_STAT:
		if (unanswered > 0)
			end_stolen();
		stat_file(f->request);
		break;
	case WIRE_MEASURE:
		if (is("measure-silent"))
			break;
		raw_packet(WIRE_MEASURED, f->request, is("measure-short") ? 8 : 40, 0);
		break;
	case WIRE_CANCEL:
		break;
	default:
		stream(f);
	}
	wire_frame_close_fds(f);
}

int main(void)
{
	static uint8_t room[WIRE_FRAME_MAX];
	if (pread(STDERR_FILENO, mode, sizeof(mode) - 1, 0) <= 0)
		return 9;
	ring = RING_NONE;
	for (;;) {
		struct wire_frame f;
		struct err e = ERR_INIT;
		if (wire_recv(WIRE_CONTROL_FD, WIRE_TO_WORKER, WIRE_PHASE_ANY, true, room, &f, &e) != WIRE_FRAME)
			return 0;
		handle(&f);
	}
}
