/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Help, from the tables. */

#include <stdbool.h>
#include <stdio.h>

struct verb;

void help_all(FILE *f);
void help_verb(FILE *f, const struct verb *verb);
/* The verbs that begin with the word GROUP ("daemon"). Returns 0, or -1 if there are none. */
int help_group(FILE *f, const char *group);
bool help_is_group(const char *group);
