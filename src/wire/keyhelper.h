/* keyhelper: what a client (session) and sendense-keyhelper say to each other. One question a process.
 *
 * The helper finds on descriptor 0 a stream socket and on descriptor 3 a memfd as large as the encrypted container, with the
 * bytes of its header and key slots in their places and holes elsewhere.
 *
 *	client ─▶ u32 kind     u32 length   what the person has (enum keyhelper_secret)
 *	client ◀─ u32 code     u32 length   the raw key of the data (code 0), or a sentence (code: enum err_code, negated)
 */
#ifndef WIRE_KEYHELPER_H
#define WIRE_KEYHELPER_H

enum {
	KEYHELPER_SOCKET_FD = 0,
	KEYHELPER_HEADER_FD = 3,
	KEYHELPER_SECRET_MAX = 64 << 10,     /* bytes of a secret */
	KEYHELPER_MEMORY_MAX = 2,            /* GiB of address space: argon2id takes up to one */
};

enum keyhelper_secret {
	KEYHELPER_PASSPHRASE,                /* UTF-8 for BitLocker, bytes for LUKS */
	KEYHELPER_RECOVERY,                  /* BitLocker: 48 digits, dashes or not */
	KEYHELPER_FILE,                      /* the bytes of a key file; BitLocker: of a .BEK file */
};

#endif
