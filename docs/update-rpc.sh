#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Renews what is made from rpc.discover: update-rpc.sh ROOT RPC-DISCOVER (ninja update-rpc runs it).
set -e
"$1/docs/generate-rpc.py" "$1/docs/rpc.md" "$2"
"$1/docs/generate-types.py" "$1/client/node/src/rpc.d.ts" "$2"
