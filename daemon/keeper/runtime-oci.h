/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Runtimes that take an OCI bundle: root file system, bundle, process, fences. */

#include "runtime.h"

extern const struct runtime_kind *const runtime_crun;
extern const struct runtime_kind *const runtime_runc;
