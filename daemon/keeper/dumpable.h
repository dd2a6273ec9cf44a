/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A keeper must be dumpable for much of what it does in /proc, and must not be while it holds
 * somebody's secret: a core file would have it. */

/* Counted. */
void dumpable_forbid(void);
void dumpable_allow(void);
/* As it has to be, after something has changed it. */
void dumpable_restore(void);
/* In a child that has none of what its parent holds. */
void dumpable_begin(void);
