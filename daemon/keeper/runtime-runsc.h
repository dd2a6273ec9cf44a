/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* gVisor: a kernel of its own, which nothing of ours can enter. */

#include "runtime.h"

extern const struct runtime_kind runtime_runsc;
