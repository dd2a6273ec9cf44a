#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints a script as a C string: embed.py NAME HEADER FILE"""
import json
import sys

name, header, path = sys.argv[1:]
print(f'/* made by embed.py */\n#include "{header}"\n')
print(f"const char {name}[] =")
with open(path, encoding="ascii") as f:
    for line in f:
        print("\t" + json.dumps(line))
print("\t;")
