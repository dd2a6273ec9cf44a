/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the daemon refused, in the words of a command line. */

struct ctl;
struct sandboxd_error;

/* Parameters that came from options or operands are called like these; with -o json all is as the
 * daemon said it. */
void refusal_tell(const struct ctl *ctl, const struct sandboxd_error *e);
