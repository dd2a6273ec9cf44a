#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints a text file as a C string: embed-text.py HEADER NAME FILE"""
import json
import sys

header, name, path = sys.argv[1:]
print(f'/* made by embed-text.py */\n#include "{header}"\n\nconst char {name}[] =')
with open(path, encoding="ascii") as f:
    for line in f:
        print("\t" + json.dumps(line))
print("\t;")
