/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Completion scripts out of the verb table. */

#include <stdio.h>

void completion_bash(FILE *f);
void completion_zsh(FILE *f);
