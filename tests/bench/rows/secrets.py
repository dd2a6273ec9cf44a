# SPDX-License-Identifier: Apache-2.0
"""What a secret of the store costs: its lease alone, and for a command. Every lease is written to the audit log
and to the database before it is answered."""

from rows.execs import OWN_FDS

SECRET = "bench_token"
VALUE = "sk-bench-0123456789abcdef0123456789abcdef"
LEND = [{"name": SECRET, "env": "BENCH_TOKEN"}]


def store(client):
    client.call("secret.set", {"secret": SECRET, "value": {"text": VALUE}})


def lease(bench):
    """They are ended between the turns: what one user may have at once is limited."""
    line = bench.request("secret.lease", secret=SECRET, ttlMs=3_600_000)

    def ours(n):
        out = bench.numbers("rpc", bench.daemon.socket, n, line)
        bench.client.call("secret.revokeAll")
        return out

    store(bench.client)
    bench.alone("lease", "lease of a secret of the store, on one connection", 1000, ours, 0.1)


def exec_leased(bench):
    store(bench.client)
    with_one = bench.exec_line(secrets=LEND, **OWN_FDS)
    without = bench.exec_line(**OWN_FDS)
    bench.turns(
        "exec-lease",
        "exec of true with a leased secret, one connection, own descriptors",
        "without",
        2000,
        lambda n: bench.numbers("rpc", bench.daemon.socket, n, with_one, "fd"),
        lambda n: bench.numbers("rpc", bench.daemon.socket, n, without, "fd"),
        1.15,
    )


ROWS = (lease, exec_leased)
