/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* util/checks.h as JSON. The checks start programs and wait, so the daemon asks another process of
 * its own binary (sandboxd --doctor) and passes on what that prints. */

struct config;
struct manager;
struct request;

/* Prints {"checks": […]} on stdout, for --doctor. Returns 0 or negative errno. */
int doctor_print(const struct config *config, const char *libexec_dir);

/* Answers R with it. */
void doctor_answer(struct manager *m, struct request *r);
