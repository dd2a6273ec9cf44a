/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What spools must not hold: the values of secrets that were lent in their sandbox. They are looked
 * for in the output and replaced by stars, byte by byte, so that offsets stay. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct masks;

/* Reads them from FD, a sealed memfd (keeper-wire.h; borrowed). Returns 0, -EBADMSG or another
 * negative errno. While there is one, the keeper leaves no core file. */
int masks_new(int fd, struct masks **ret);
void masks_free(struct masks *m); /* zeroes them; NULL is fine */
/* Takes MORE over: it is looked for, too. Of more than MASKS_ADDED_MAX that were added the oldest
 * go; what is there already counts as new. */
#define MASKS_ADDED_MAX 64
void masks_add(struct masks *m, struct masks *more);

/* Covers every value in the SIZE bytes at DATA. Returns how many bytes are settled; the others may
 * be the beginning of a value: they are unchanged, fewer than KEEPER_MASK_MAX, and are to be given
 * again in front of what follows. ENDED: nothing does, and all are settled. */
size_t masks_apply(const struct masks *m, uint8_t *data, size_t size, bool ended);

/* SIZE bytes for what may be a part of one: locked as far as our limit allows, in no core file and
 * in no child of ours. NULL: no memory. */
uint8_t *masks_memory(size_t size);
void masks_memory_free(uint8_t *memory, size_t size); /* zeroes it; NULL is fine */
