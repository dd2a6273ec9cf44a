# SPDX-License-Identifier: Apache-2.0
"""memory, cpu, pids, shm: with cgroups where the daemon has them, the fences where not."""

import os

import daemon as daemon_module
from harness import exited, result_text, timeout
from lib import check, equal, text_of

MIB = 1 << 20


def has_cgroup(t, controller="memory"):
    return controller in str(t.client.call("system.info")["cgroup"])


def need_cgroup(t):
    """Where the daemon is an ordinary user without delegation there is nothing to test; that it
    says so is test_system's."""
    if not has_cgroup(t):
        check(t.mode == "user", "a root daemon has no memory controller")
        return False
    return True


HOG = "b=[]\nfor i in range(%d): b.append(b'x'*(1<<20))\nprint('survived')"


def test_memory(t):
    """Too much is oom, named as the cause, with the peak; the sandbox lives on."""
    if not need_cgroup(t):
        return
    s = t.sandbox(limits={"memoryBytes": 64 * MIB})
    equal(s["limits"]["memoryBytes"], 64 * MIB, "limits")
    r = t.run(s, ["/usr/bin/python3", "-c", HOG % 300])
    equal(r["cause"], "oom", f"cause: {result_text(r)}")
    check(r["oomKills"] >= 1, result_text(r))
    check(r["oomScope"] in ("exec", "sandbox"), result_text(r))
    check(r["peakMemoryBytes"] > 16 * MIB, f"peak {r['peakMemoryBytes']}")
    r = exited(t.run(s, ["/usr/bin/python3", "-c", HOG % 10]))
    equal((r["stdout"], r["oomKills"]), ("survived\n", 0), "the next exec")


def test_oom_of_a_child_is_no_oom_of_the_exec(t):
    """The leader survives and exits by itself: its own code, the kills counted."""
    if not need_cgroup(t):
        return
    s = t.sandbox(limits={"memoryBytes": 64 * MIB})
    script = f'/usr/bin/python3 -c "{HOG % 300}" ; exit 9'
    r = t.run(s, ["/bin/sh", "-c", script])
    equal(r["exitCode"], 9, result_text(r))
    check(r["oomKills"] >= 1, result_text(r))


def test_memory_counts_shm_and_tmp(t):
    """A tmpfs is memory too."""
    if not need_cgroup(t):
        return
    s = t.sandbox(limits={"memoryBytes": 64 * MIB, "shmBytes": 512 * MIB})
    r = t.run(s, ["/bin/sh", "-c", "head -c 200000000 /dev/zero >/dev/shm/x"])
    check(r["cause"] == "oom" or r["exitCode"] != 0, result_text(r))


def test_pids(t):
    if not need_cgroup(t):
        return
    s = t.sandbox(limits={"pids": 20})
    script = "i=0; while [ $i -lt 60 ]; do sleep 100 & i=$((i+1)); done; echo unlimited"
    r = t.run(s, ["/bin/bash", "-c", script], timeoutMs=8000, graceMs=200)
    check("unlimited" not in str(r.get("stdout")), result_text(r))
    exited(t.run(s, ["true"]))


def test_pids_is_always_on(t):
    """Without asking: the default, in cgroup or rlimit."""
    s = t.sandbox()
    if has_cgroup(t, "pids"):
        if os.getuid() == 0:
            paths = [
                p
                for p in daemon_module.cgroup_tree()
                if s["id"] in p and os.path.exists(p + "/pids.max")
            ]
            check(paths, "no pids cgroup")
            with open(paths[0] + "/pids.max", encoding="ascii") as f:
                check(f.read().strip() != "max", "pids.max is max")
        return
    n = t.sh(s, "bash -c 'ulimit -u'").strip()
    check(n != "unlimited" and int(n) <= 65536, f"RLIMIT_NPROC is {n}")


def test_cpu(t):
    if not need_cgroup(t):
        return
    s = t.sandbox(limits={"cpuMilli": 200})
    script = "end=$(($(date +%s%N)+2000000000)); while [ $(date +%s%N) -lt $end ]; do :; done"
    r = exited(t.run(s, ["/bin/bash", "-c", script]))
    check(r["cpuMs"] < 1200, f"{r['cpuMs']} ms of cpu in 2 s at 200 milli")


def test_shm(t):
    s = t.sandbox(limits={"shmBytes": 8 * MIB})
    r = t.run(s, ["/bin/sh", "-c", "head -c 50000000 /dev/zero >/dev/shm/x; stat -c %s /dev/shm/x"])
    size = int(text_of(r["stdout"]))
    check(size <= 8 * MIB, f"{size} bytes in /dev/shm")
    plain = t.sandbox()
    size = int(t.sh(plain, "df -B1 --output=size /dev/shm | tail -1"))
    equal(size, 64 * MIB, "the default")


def test_limits_survive_restart(t):
    if not need_cgroup(t):
        return
    s = t.sandbox(limits={"memoryBytes": 64 * MIB, "pids": 50})
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    again = t.client.call("sandbox.start", {"sandbox": s["name"]})
    equal((again["limits"]["memoryBytes"], again["limits"]["pids"]), (64 * MIB, 50), "limits")
    r = t.run(s, ["/usr/bin/python3", "-c", HOG % 300])
    equal(r["cause"], "oom", result_text(r))


def test_without_cgroup_limits_are_refused_or_told(t):
    """A limit that cannot be kept is never accepted and ignored."""
    if has_cgroup(t):
        return
    e = None
    try:
        s = t.sandbox(limits={"memoryBytes": 64 * MIB})
    except Exception as error:
        e = error
    if e is not None:
        equal((e.code, e.field), (-32005, "limits.memoryBytes"), "refusal")
        return
    check(s["limits"].get("memoryBytes") is None, f"limits say {s['limits']}")


def test_inotify_and_namespaces_are_fenced(t):
    s = t.sandbox()
    out = t.sh(s, "cat /proc/sys/user/max_user_namespaces /proc/sys/user/max_mnt_namespaces")
    numbers = [int(x) for x in out.split()]
    equal(numbers[0], 0, "user namespaces")
    check(numbers[1] <= 32, f"mount namespaces {numbers[1]}")
    n = int(t.sh(s, "cat /proc/sys/user/max_inotify_instances"))
    check(n <= 1024, f"inotify instances {n}")


@timeout(60)
def test_time_used_is_told(t):
    s = t.sandbox()
    r = exited(
        t.run(s, ["/usr/bin/python3", "-c", "import time\ne=time.process_time()+0.5\nwhile time.process_time()<e: pass"])
    )
    check(400 <= r["cpuMs"] <= 3000, f"cpuMs {r['cpuMs']}")
    check(r["durationMs"] >= 400, f"durationMs {r['durationMs']}")
    check(r["peakMemoryBytes"] > MIB, f"peak {r['peakMemoryBytes']}")
