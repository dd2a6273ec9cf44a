/* SPDX-License-Identifier: Apache-2.0 */
/* The size is known before the first byte is written, so both forms (behind the struct, or in a
 * memfd) are one pass of copies into memory that is already there. The memfd is sealed: init may
 * map it without fearing that it changes. */

#include "sandbox/exec-payload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bounds.h"
#include "init-wire.h"
#include "keeper-wire.h"
#include "macro.h"

#define USER_ID_MAX 65534 /* 65535 is in no sandbox */
#define FILE_MODE_MAX 0777
#define FILE_PATH_SIZE 4096 /* as the kernel's PATH_MAX */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Where the next byte goes. The memory was sized by payload_size(). */
struct cursor {
	uint8_t *at;
};

static void put(struct cursor *c, const void *data, size_t size)
{
	if (size > 0)
		memcpy(c->at, data, size);
	c->at += size;
}

static void put_string(struct cursor *c, const char *text)
{
	put(c, text, strlen(text) + 1);
}

/* As init wants it: a request that it refuses to parse would cost the connection. */
static bool path_is_plain(const char *path)
{
	size_t length;

	if (strlen(path) >= FILE_PATH_SIZE)
		return false;
	for (;; path += length + 1) {
		length = strcspn(path, "/");
		if (length == 0 || (length <= 2 && memcmp(path, "..", length) == 0))
			return false;
		if (path[length] == '\0')
			return true;
	}
}

int exec_payload_check_files(const struct files_params *files, struct error *reterr)
{
	char field[64];
	size_t i;

	for (i = 0; i < files->count; i++) {
		const struct file_params *f = &files->items[i];

		if (!f->path || !path_is_plain(f->path)) {
			(void)snprintf(field, sizeof(field), "files[%zu].path", i);
			return error_set(reterr, ERROR_INVALID_PARAMS, field,
					 "a path below workDir, without \".\", \"..\" and empty "
					 "parts",
					 "a file's path must be relative and stay below workDir");
		}
		if (f->mode > FILE_MODE_MAX) {
			(void)snprintf(field, sizeof(field), "files[%zu].mode", i);
			return error_set(reterr, ERROR_INVALID_PARAMS, field, "at most 0777",
					 "a file's mode can only hold permission bits");
		}
	}
	return 0;
}

static size_t env_size(const struct exec_payload *p, uint32_t *ret_count)
{
	char *const *env = p->env;
	size_t i, size = 0;
	uint32_t count = (uint32_t)p->n_more;

	for (; *env; env++) {
		size += strlen(*env) + 1;
		count++;
	}
	for (i = 0; i < p->n_more; i++)
		size += strlen(p->more[i].name) + p->more[i].value.size + 2;
	*ret_count = count;
	return size;
}

static size_t args_size(const struct exec_payload *p)
{
	uint32_t envc;
	size_t i, size = env_size(p, &envc);

	for (i = 0; i < p->command.count; i++)
		size += strlen(p->command.items[i]) + 1;
	return size;
}

bool exec_payload_fits(const struct exec_payload *p)
{
	uint32_t envc;

	(void)env_size(p, &envc);
	return args_size(p) <= EXEC_ARGS_BYTES_MAX && p->command.count <= ARGV_MAX &&
	       envc <= ENV_MAX;
}

static size_t payload_size(const struct exec_payload *p)
{
	size_t i, size = strlen(p->work_dir) + 1 + args_size(p);

	for (i = 0; i < p->files.count; i++)
		size += sizeof(struct init_file) + strlen(p->files.items[i].path) + 1 +
			p->files.items[i].data.size;
	return size;
}

static void put_variable(struct cursor *c, const struct exec_variable *v)
{
	put(c, v->name, strlen(v->name));
	put(c, "=", 1);
	put(c, v->value.data, v->value.size);
	put(c, "", 1);
}

static void fill(const struct exec_payload *p, void *memory)
{
	struct cursor c = { memory };
	char *const *env;
	size_t i;

	put_string(&c, p->work_dir);
	for (i = 0; i < p->command.count; i++)
		put_string(&c, p->command.items[i]);
	for (env = p->env; *env; env++)
		put_string(&c, *env);
	for (i = 0; i < p->n_more; i++)
		put_variable(&c, &p->more[i]);
	for (i = 0; i < p->files.count; i++) {
		const struct file_params *f = &p->files.items[i];
		struct init_file file = { .mode = f->mode,
					  .path_size = (uint32_t)strlen(f->path) + 1,
					  .data_size = f->data.size };

		put(&c, &file, sizeof(file));
		put(&c, f->path, file.path_size);
		put(&c, f->data.data, f->data.size);
	}
}

/* Returns the sealed memfd or negative errno. The pages are reserved before they are touched: out
 * of memory is an error then and not a SIGBUS. */
static int fill_memfd(const struct exec_payload *p, size_t size)
{
	CLEANUP_FD int fd = memfd_create("exec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *memory;

	if (fd < 0 || fallocate(fd, 0, 0, (off_t)size) < 0)
		return -errno;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	fill(p, memory);
	if (munmap(memory, size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int exec_payload_build(struct wire_message *m, const struct exec_payload *p)
{
	struct init_exec *request = (struct init_exec *)(void *)m->data;
	size_t size = payload_size(p);
	int fd;

	wire_begin(m, INIT_WIRE_VERSION, INIT_EXEC, 0, sizeof(*request));
	request->argc = (uint32_t)p->command.count;
	(void)env_size(p, &request->envc);
	request->filec = (uint32_t)p->files.count;
	request->payload_size = size;
	if (size <= WIRE_MESSAGE_MAX - sizeof(*request)) {
		request->payload_offset = sizeof(*request);
		fill(p, m->data + sizeof(*request));
		m->size += size;
		return 0;
	}
	fd = fill_memfd(p, size);
	if (fd < 0)
		return fd;
	request->flags = INIT_EXEC_PAYLOAD_FD;
	(void)wire_add_fd(m, fd); /* the first of at most four */
	return 0;
}

/* Decimal digits only, up to USER_ID_MAX. Returns what follows them, NULL when there are none. */
static const char *parse_id(const char *text, uint32_t *ret)
{
	uint32_t id = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		id = id * 10 + (uint32_t)(*at - '0');
		if (id > USER_ID_MAX)
			return NULL;
	}
	if (at == text)
		return NULL;
	*ret = id;
	return at;
}

int exec_parse_user(const char *text, uint32_t *ret_uid, uint32_t *ret_gid, struct error *reterr)
{
	uint32_t uid = 0, gid;
	const char *at;

	if (!text || strcmp(text, "agent") == 0) {
		*ret_uid = *ret_gid = SANDBOX_ID_AGENT;
		return 0;
	}
	if (strcmp(text, "root") == 0) {
		*ret_uid = *ret_gid = 0;
		return 0;
	}
	at = parse_id(text, &uid);
	gid = uid;
	if (at && *at == ':')
		at = parse_id(at + 1, &gid);
	if (!at || *at != '\0')
		return error_set(reterr, ERROR_INVALID_PARAMS, "user",
				 "\"agent\", \"root\" or \"UID[:GID]\" with ids up to 65534",
				 "there is no user \"%.64s\" in a sandbox", text);
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}
