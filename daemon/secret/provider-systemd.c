/* SPDX-License-Identifier: Apache-2.0 */
/* A credential that systemd gave the daemon (LoadCredential=, LoadCredentialEncrypted=): a file in
 * memory that does not change while the service runs. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/config-secret.h"
#include "secret/provider.h"
#include "util/fd.h"

static int open_credential(const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	CLEANUP_FD int dir_fd = -1;

	if (!dir)
		return -ENOENT;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -errno : fd_open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK);
}

static int read_value(int fd, struct secret_value **ret)
{
	CLEANUP(secret_value_unrefp) struct secret_value *v = NULL;
	struct stat st;
	uint8_t *data;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > SECRET_VALUE_MAX)
		return -EFBIG;
	if (secret_value_new((size_t)st.st_size, &v, &data) < 0)
		return -ENOMEM;
	if (fd_read_at(fd, (char *)data, (size_t)st.st_size, 0) != (size_t)st.st_size)
		return -EIO;
	*ret = TAKE_PTR(v);
	return 0;
}

static int systemd_lease(const struct provider_call *call, provider_done *done, void *userdata,
			 struct provider_grant *ret, struct provider_pending **ret_pending,
			 struct error *reterr)
{
	const char *name = call->config->credential;
	CLEANUP_FD int fd = open_credential(name);
	struct secret_value *v = NULL;
	int r = fd < 0 ? fd : read_value(fd, &v);

	(void)done;
	(void)userdata;
	(void)ret_pending;
	if (r == -ENOENT)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret",
				 "LoadCredential= or LoadCredentialEncrypted= in the unit of "
				 "sandboxd",
				 "systemd gave sandboxd no credential %s", name);
	if (r == -EFBIG)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret", NULL,
				 "the credential %s has more than %d bytes", name,
				 SECRET_VALUE_MAX);
	if (r < 0)
		return error_set_errno(reterr, r, "the credential %s cannot be read", name);
	*ret = (struct provider_grant){ .value = v };
	return 1;
}

static bool systemd_has(const struct provider_call *call)
{
	CLEANUP_FD int fd = open_credential(call->config->credential);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

const struct provider provider_systemd = {
	.name = "systemd",
	.lease = systemd_lease,
	.has = systemd_has,
};
