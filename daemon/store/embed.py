#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the migrations given as arguments as one C table: embed.py 001.sql 002.sql ..."""
import json
import sys

print('/* made by embed.py */\n#include "store/migrations.h"\n')
print("const char *const store_migrations[] = {")
for path in sys.argv[1:]:
    with open(path, encoding="ascii") as f:
        for line in f:
            print("\t" + json.dumps(line))
    print("\t,")
print("\tNULL\n};")
