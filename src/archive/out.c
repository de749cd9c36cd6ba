#include "archive/out.h"

#include <stdlib.h>
#include <string.h>

int out_init(struct out *o, const struct archive_sink *sink, struct err *e)
{
	*o = (struct out){.sink = *sink, .data = malloc(OUT_BUFFER)};
	return o->data ? 0 : err_no_memory(e, "archive");
}

void out_release(struct out *o)
{
	free(o->data);
	*o = (struct out){0};
}

int out_flush(struct out *o, struct err *e)
{
	size_t len = o->len;
	o->len = 0;
	return len ? o->sink.write(o->sink.arg, o->data, len, e) : 0;
}

int out_write(struct out *o, const void *p, size_t len, struct err *e)
{
	o->total += len;
	if (len > OUT_BUFFER - o->len) {
		int r = out_flush(o, e);
		if (r < 0)
			return r;
	}
	if (len >= OUT_BUFFER)
		return o->sink.write(o->sink.arg, p, len, e);
	if (len)
		memcpy(o->data + o->len, p, len);
	o->len += len;
	return 0;
}
