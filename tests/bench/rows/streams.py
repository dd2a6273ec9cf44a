# SPDX-License-Identifier: Apache-2.0
"""Throughput: bytes through stdout, requests on many connections."""

import time

import peers

GIB = 1 << 30
HEAD = ["head", "-c", str(GIB), "/dev/zero"]
CONNECTIONS = 50
IN_FLIGHT = 1  # on each of them, as redis-benchmark has it
BATCH = 10000


def stdout(bench):
    bench.turns(
        "stdout-1g",
        "1 GiB through stdout of sandboxctl exec",
        "a pipe",
        10,
        lambda n: bench.numbers("drain", n, bench.ctl, "exec", "bench", *HEAD),
        lambda n: bench.numbers("drain", n, *HEAD),
        0.97,
        ">",
    )


def captured(bench):
    def ours(n):
        out = []
        for _ in range(n):
            begin = time.monotonic_ns()
            bench.client.call("exec.run", {"sandbox": "bench", "command": HEAD}, timeout=300)
            out.append(time.monotonic_ns() - begin)
        return out

    bench.turns(
        "captured-1g",
        "1 GiB captured",
        "a pipe of 1 MiB",
        10,
        ours,
        lambda n: bench.numbers("wide", n, *HEAD),
        0.6,
        ">",
    )


def ping(bench):
    redis = peers.Redis(bench)

    def of(protocol, socket, n):
        return bench.numbers("ping", protocol, socket, CONNECTIONS, IN_FLIGHT, n, BATCH)

    def theirs(n):
        redis.start()
        return of("redis", redis.socket, n)

    bench.turns(
        "ping-redis",
        f"ping on {CONNECTIONS} connections, time per request",
        "redis PING, same client",
        100,
        lambda n: of("sandboxd", bench.daemon.socket, n),
        theirs,
        0.5,
        ">",
    )


ROWS = (ping, stdout, captured)
