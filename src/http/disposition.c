#include "http/internal.h"

#include "base/utf8.h"

#include <string.h>

enum { NAME_MAX_SHOWN = 1024 };    /* bytes of a name; its end is kept, where the suffix is */

/* What every client takes in a quoted-string as it is: no escapes, no '%' (which some decode), no separators of paths. */
static bool is_plain(uint8_t c)
{
	return c >= ' ' && c < 0x7f && !strchr("\"\\/%:*?<>|", c);
}

void http_disposition_format(struct buf *to, const char *kind, const void *name, size_t len)
{
	struct buf shown = BUF_INIT(NAME_ESCAPE_GROWTH * NAME_MAX_SHOWN);
	const uint8_t *p = name;
	if (len > NAME_MAX_SHOWN) {
		p += len - NAME_MAX_SHOWN;
		len = NAME_MAX_SHOWN;
	}
	name_escape(&shown, p, len);
	buf_adds(to, kind);
	buf_adds(to, "; filename=\"");
	for (size_t i = 0; i < shown.len;) {
		unsigned n = utf8_sequence(shown.data + i, shown.len - i);
		buf_addc(to, is_plain(shown.data[i]) ? (char)shown.data[i] : '_');
		i += n > 0 ? n : 1;
	}
	/* RFC 8187, 3.2.1: attr-char is what needs no encoding. */
	buf_adds(to, "\"; filename*=UTF-8''");
	http_percent_encode(to, shown.data, shown.len, "!#$&+^`|");
	to->failed |= shown.failed;
	buf_free(&shown);
}

void http_disposition(struct http_response *resp, const char *kind, const void *name, size_t len)
{
	/* Each byte may become three, and each of these "%XX". */
	struct buf b = BUF_INIT(64 + NAME_MAX_SHOWN * NAME_ESCAPE_GROWTH * 4);
	http_disposition_format(&b, kind, name, len);
	if (b.failed)
		resp->failed = true;
	else
		http_header(resp, "Content-Disposition", buf_str(&b));
	buf_free(&b);
}
