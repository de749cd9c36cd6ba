/* keyhelper: what a client (session) and sendense-keyhelper say to each other. One question a process.
 *
 * The helper finds on descriptor 0 a stream socket and on descriptor 3 a memfd as large as the encrypted container, with the
 * bytes of its header and key slots in their places and holes elsewhere.
 *
 *	client ─▶ u32 length   passphrase or key file
 *	client ◀─ u32 code     u32 length   the raw key of the data (code 0), or a sentence (code: enum err_code, negated)
 */
#ifndef WIRE_KEYHELPER_H
#define WIRE_KEYHELPER_H

enum {
	KEYHELPER_SOCKET_FD = 0,
	KEYHELPER_HEADER_FD = 3,
	KEYHELPER_SECRET_MAX = 64 << 10,     /* a passphrase, or the bytes of a key file */
	KEYHELPER_MEMORY_MAX = 2,            /* GiB of address space: argon2id takes up to one */
};

#endif
