#include "client/commands.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* --- JSON as it comes ----------------------------------------------------------------------------- */

struct json_out {
	bool terminal;
	bool after_c2;                   /* the first byte of a C1 control may have come */
	char last;
};

/* JSON escapes its control characters itself, but for DEL and U+0080 … U+009F, which some terminals obey. */
static void put_for_terminal(struct json_out *o, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char b = p[i];
		if (o->after_c2) {
			o->after_c2 = false;
			if (b < 0xa0)
				(void)printf("\\u00%02x", b);
			else
				(void)printf("\xc2%c", b);
		} else if (b == 0xc2) {
			o->after_c2 = true;
		} else if ((b < 0x20 && b != '\n') || b == 0x7f) {
			(void)printf("\\u%04x", b);
		} else {
			(void)putchar(b);
		}
	}
}

static int put_json(void *arg, const struct call_head *head, const void *p, size_t len, struct err *e)
{
	struct json_out *o = arg;
	(void)head;
	if (o->terminal)
		put_for_terminal(o, p, len);
	else
		(void)fwrite(p, 1, len, stdout);
	if (len > 0)
		o->last = ((const char *)p)[len - 1];
	return ferror(stdout) ? err_set(e, ERR_IO, "client", "cannot write to standard output") : 0;
}

/* --- show ----------------------------------------------------------------------------------------- */

int complain_call(const struct err *e, const struct doc *details)
{
	int status = complain_err(e);
	const char *mount = doc_text(doc_object(details, "details"), "mount_id");
	if (e->code == ERR_ALREADY_MOUNTED && mount[0])
		complain("mount %s has it open; --reuse takes that one", mount);
	return status;
}

int show(struct client *c, const struct client_args *a, const struct call *call, answer_print *print)
{
	struct err e = ERR_INIT;
	CLEANUP(doc_free_p) struct doc *details = NULL;
	CLEANUP(doc_free_p) struct doc *d = NULL;
	struct json_out out = {.terminal = isatty(STDOUT_FILENO)};
	struct call made = *call;
	if (a->json) {
		made.sink = put_json;
		made.arg = &out;
	}
	if (client_call(c, &made, a->json ? NULL : &d, NULL, &details, &e) < 0)
		return complain_call(&e, details);
	if (!a->json)
		return print(d, a);
	if (out.last != '\n')
		(void)putchar('\n');
	return CLIENT_OK;
}

int show_get(struct client *c, const struct client_args *a, const struct buf *path, answer_print *print)
{
	struct call call = {.method = "GET", .path = buf_str(path)};
	return show(c, a, &call, print);
}

/* --- paths ---------------------------------------------------------------------------------------- */

void api_path(struct buf *to, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_adds(to, "/api/v1");
	for (const char *p = fmt; *p; p++) {
		if (p[0] == '%' && p[1] == 's') {
			const char *s = va_arg(ap, const char *);
			url_encode(to, s, strlen(s), false);
			p++;
		} else {
			buf_addc(to, *p);
		}
	}
	va_end(ap);
}

void path_text(struct buf *to, const char *operand)
{
	size_t len = strlen(operand);
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(len + 1);
	name_unescape(&bytes, operand, len);
	name_escape(to, buf_str(&bytes), bytes.len);
}
