/* The headers of a request, one a line of the input, "Range: bytes=0-1", in place of libmicrohttpd's. */
#ifndef FUZZ_HEADERS_H
#define FUZZ_HEADERS_H

#include "http/internal.h"

#include <string.h>

enum { HEADER_LINES_MAX = 16 };

static struct {
	char *line[HEADER_LINES_MAX];
	unsigned count;
} sent;

const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind, const char *key)
{
	(void)connection;
	(void)kind;
	size_t len = strlen(key);
	for (unsigned i = 0; i < sent.count; i++)
		if (strncasecmp(sent.line[i], key, len) == 0 && sent.line[i][len] == ':')
			return sent.line[i] + len + 1 + strspn(sent.line[i] + len + 1, " \t");
	return NULL;
}

/* The lines stay in the text. */
static void split_lines(char *text)
{
	sent.count = 0;
	for (char *save, *line = strtok_r(text, "\n", &save); line && sent.count < HEADER_LINES_MAX; line = strtok_r(NULL, "\n", &save))
		sent.line[sent.count++] = line;
}

#endif
