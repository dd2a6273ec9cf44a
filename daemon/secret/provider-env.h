/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the provider `env` took out of the daemon's environment; in struct manager. */

struct config;
struct env_secrets;
struct manager;

int env_secrets_new(struct manager *m, struct env_secrets **ret);
void env_secrets_free(struct env_secrets *s); /* NULL is fine */
/* Takes what CONFIG names. */
void env_secrets_take(struct env_secrets *s, const struct config *config);
