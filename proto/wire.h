/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Messages between our own processes: fixed structs on a seqpacket socket, descriptors beside them.
 *
 * Both ends run on one machine, so fields are in host order. A message is a struct that begins with
 * wire_header; strings are offsets into the bytes behind the struct. Nobody trusts the other end:
 * each string is fetched by wire_string(), which checks bounds, the closing NUL and that no NUL is
 * inside. libc only: the keeper and (with musl) init compile this too. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A seqpacket message can hold at most 212 960 bytes on Linux's default buffers. */
#define WIRE_MESSAGE_MAX (192u * 1024)
#define WIRE_FDS_MAX 64

struct wire_header {
	uint16_t version; /* of the protocol this message belongs to */
	uint16_t type;
	uint32_t size;   /* of the whole message; must be what was received */
	uint64_t serial; /* a reply carries its request's; 0 in events */
	int32_t error;   /* replies: 0 or negative errno */
	uint32_t n_fds;  /* descriptors that ride along; must be what was received */
};

/* A string behind the struct: offset from the start of the message, length without the NUL.
 * {0, 0} is "absent". */
struct wire_str {
	uint32_t offset;
	uint32_t length;
};

/* A message being built or just received. Holds its descriptors: wire_message_done() closes those
 * not taken. A received message's fds are CLOEXEC. */
struct wire_message {
	size_t size;
	size_t n_fds;
	int fds[WIRE_FDS_MAX];
	_Alignas(8) uint8_t data[WIRE_MESSAGE_MAX];
};

/* Starts a message of STRUCT_SIZE zeroed bytes. */
void wire_begin(struct wire_message *m, uint16_t version, uint16_t type, uint64_t serial,
		size_t struct_size);

/* Appends TEXT (NULL: absent) and writes its place to the wire_str at byte AT of the message.
 * Returns 0 or -EMSGSIZE. */
int wire_add_string(struct wire_message *m, size_t at, const char *text);

/* Appends raw bytes; *RET_OFFSET is where. Returns 0 or -EMSGSIZE. */
int wire_add_bytes(struct wire_message *m, const void *data, size_t size, uint32_t *ret_offset);

/* Adds FD (ownership goes to the message) and returns its index, or -EMSGSIZE (FD is closed). */
int wire_add_fd(struct wire_message *m, int fd);

/* Fills size and n_fds in and sends it whole. Returns 0, -EAGAIN, or another negative errno.
 * The descriptors stay with the message. */
int wire_send(int socket, struct wire_message *m);

/* Receives one message. Returns 1, 0 at end of file, or negative errno: -EAGAIN nothing there,
 * -EBADMSG truncated, a wrong size or fd count, or less than a header (its fds are closed), -EMFILE
 * whole, but we have no room for its descriptors: M is the message without any. */
int wire_receive(int socket, struct wire_message *m);

/* The string at S, checked, or NULL when absent. Malformed: NULL and *BAD = true (BAD may start
 * false). */
const char *wire_string(const struct wire_message *m, struct wire_str s, bool *bad);

/* Hands descriptor I over to the caller, or -1. */
int wire_take_fd(struct wire_message *m, size_t i);

/* Closes what was not taken. */
void wire_message_done(struct wire_message *m);

static inline struct wire_header *wire_head(struct wire_message *m)
{
	return (struct wire_header *)(void *)m->data;
}
