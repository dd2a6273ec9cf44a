/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* No isolation: init as a process of the owner's on the host, so that its execs can be ended. */

#include "runtime.h"

extern const struct runtime_kind runtime_host;
