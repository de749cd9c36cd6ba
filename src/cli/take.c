/* cat, tar, manifest, dump: streams to standard output. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 256 << 10 };

int cli_write_all(const uint8_t *p, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, ERR_CANCELLED, errno, "image", "cannot write to standard output");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_stream(struct stream *st, struct err *e)
{
	CLEANUP(free_ptr) uint8_t *chunk = malloc(CHUNK);
	if (!chunk)
		return err_no_memory(e, "image");
	for (;;) {
		ssize_t n = stream_read_wait(st, chunk, CHUNK, e);
		if (n <= 0)
			return (int)n;
		int r = cli_write_all(chunk, (size_t)n, e);
		if (r < 0)
			return r;
	}
}

typedef int begin_fn(struct session *s, const struct image_args *a, struct stream **ret, struct err *e);

/* Opens the image, begins a stream, copies it out. */
static int take(const struct image_args *a, begin_fn *begin, int (*copy)(struct stream *st, struct err *e))
{
	struct err e = ERR_INIT;
	struct chain c;
	if (chain_open(&a->chain, &c, &e) < 0)
		return cli_fail(&e);
	for (unsigned i = 0; i < c.opened.warning_count; i++)
		cli_say("warning: %s", c.opened.warnings[i]);
	struct stream *st = NULL;
	int status = CLI_OK;
	if (begin(c.session, a, &st, &e) < 0 || copy(st, &e) < 0) {
		status = e.code == ERR_CANCELLED ? CLI_SOME_FAILED : cli_fail(&e);
		if (e.code == ERR_CANCELLED)
			cli_say("%s", e.msg);
	} else if (stream_error_entries(st) > 0) {
		cli_say("%llu entries could not be read",
		              (unsigned long long)stream_error_entries(st));
		status = CLI_SOME_FAILED;
	}
	stream_close(st);
	chain_close(&c);
	return status;
}

static struct session_path path_of(const struct image_args *a)
{
	return (struct session_path){.volume = a->volume, .path = a->path, .len = strlen(a->path)};
}

static int begin_cat(struct session *s, const struct image_args *a, struct stream **ret, struct err *e)
{
	return session_read(s, path_of(a), NULL, 0, UINT64_MAX, ret, e);
}

int cli_cat(const struct image_args *a)
{
	return take(a, begin_cat, copy_stream);
}

static int begin_tar(struct session *s, const struct image_args *a, struct stream **ret, struct err *e)
{
	struct session_path at = path_of(a);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = cpus < 1 ? 1 : cpus > 8 ? 8 : (unsigned)cpus;
	return session_archive(s, a->volume, &at, 1, a->format, threads, ret, e);
}

int cli_tar(const struct image_args *a)
{
	static const char *const formats[] = {"tar", "tar.gz", "tar.zst", "zip"};
	bool known = false;
	for (unsigned i = 0; i < 4; i++)
		known = known || strcmp(a->format, formats[i]) == 0;
	if (!known) {
		cli_say("--format is tar, tar.gz, tar.zst or zip, not %s", a->format);
		return CLI_USAGE;
	}
	if (isatty(STDOUT_FILENO)) {
		cli_say("an archive is not for a terminal: redirect it into a file or a pipe");
		return CLI_USAGE;
	}
	return take(a, begin_tar, copy_stream);
}

static int begin_manifest(struct session *s, const struct image_args *a, struct stream **ret, struct err *e)
{
	return session_manifest(s, path_of(a), ret, e);
}

int cli_manifest(const struct image_args *a)
{
	return take(a, begin_manifest, copy_stream);
}

static int begin_dump(struct session *s, const struct image_args *a, struct stream **ret, struct err *e)
{
	return session_dump(s, a->volume, ret, e);
}

int cli_dump(const struct image_args *a)
{
	if (isatty(STDOUT_FILENO)) {
		cli_say("a disk is not for a terminal: redirect it into a file or a pipe");
		return CLI_USAGE;
	}
	if (a->volume == 0 && a->chain.image_count > 1) {
		cli_say("of several disks one is dumped at a time: name it alone, or a volume with --volume");
		return CLI_USAGE;
	}
	return take(a, begin_dump, cli_dump_copy);
}
