/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Points at which a test build of the daemon can die. With the meson option `faults`, the
 * environment variable SANDBOXD_FAULT=NAME[:N] makes it kill itself where it passes NAME for the
 * N-th time (first: 1); without the option a point is nothing. Names: AREA.WHAT-IS-DONE. */

#ifdef SANDBOXD_FAULTS
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif
