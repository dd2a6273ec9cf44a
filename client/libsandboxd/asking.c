/* SPDX-License-Identifier: Apache-2.0 */
/* What rpc.discover calls read-only. A copy, so that the library does not carry the method table; a
 * unit test compares them. */

#include "call.h"

const char *const client_asking_methods[] = {
	"audit.list",    "audit.verify", "exec.get",      "exec.list",
	"exec.read",     "exec.wait",    "loop.get",      "loop.list",
	"network.get",   "network.log",  "pool.list",     "rpc.discover",
	"sandbox.get",   "sandbox.list", "sandbox.stats", "secret.list",
	"secret.leases", "system.df",    "system.doctor", "system.info",
	"system.ping",   "template.get", "template.list", NULL,
};
