/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back from outside the process: by its first byte the input is a block of stages from
 * the database, what the script that looks at a workspace printed, which an agent may have had a
 * hand in, or what is in the store of secrets. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loop/artifacts-output.h"
#include "loop/artifacts.h"
#include "macro.h"
#include "sandbox/stage.h"
#include "secret/vault-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted packs to something that is accepted, too. */
static void unpack_stages(const uint8_t *block, size_t size)
{
	CLEANUP(stages_unrefp) struct stages *s = NULL, *again = NULL;
	char *packed = NULL;
	size_t packed_size = 0;

	if (stages_unpack(&s, block, size) < 0)
		return;
	if (stages_pack(s, &packed, &packed_size) < 0 ||
	    stages_unpack(&again, packed, packed_size) < 0 ||
	    stages_count(s) != stages_count(again))
		abort();
	free(packed);
}

static void parse_artifacts(const uint8_t *output, size_t size)
{
	struct artifacts_result r = { 0 };

	if (artifacts_parse(&r, output, size) == 0 && r.patch_size > size)
		abort();
	artifacts_result_deinit(&r);
}

/* What was accepted is written so that it is read again. */
static void parse_vault(const uint8_t *body, size_t size)
{
	static const uint8_t key[VAULT_KEY_BYTES];
	struct table secrets = { 0 }, again = { 0 };
	struct vault_header h = { 0 };
	uint8_t *data = NULL;
	size_t data_size = 0;

	if (vault_decode(body, size, key, &h, &again) == 0)
		abort(); /* nobody finds the tag */
	if (vault_parse(body, size, &secrets) == 0) {
		h = (struct vault_header){ .kdf = VAULT_KDF_NONE };
		vault_header_init(&h, key, key);
		if (vault_encode(&h, key, &secrets, &data, &data_size) < 0 ||
		    vault_decode(data, data_size, key, &h, &again) != 0 ||
		    data_size != sizeof(h) + size + 16)
			abort();
	}
	free(data);
	vault_free_secrets(&secrets);
	vault_free_secrets(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		unpack_stages(data + 1, size - 1);
	else if (data[0] & 2)
		parse_vault(data + 1, size - 1);
	else
		parse_artifacts(data + 1, size - 1);
	return 0;
}
