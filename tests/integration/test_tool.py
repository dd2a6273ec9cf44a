# SPDX-License-Identifier: Apache-2.0
"""Templates: host, and tools' layers as they come from npm (needs the npm registry)."""

import base64
import json
import os
import re
import subprocess
import time

import lib
import provider
from harness import exited, modes, refused, timeout
from lib import check, equal

BUILD_SECONDS = 240


def layers(t):
    """Directories in every owner's templates."""
    owners = os.path.join(t.daemon.state, "owners")
    return [
        (owner, name)
        for owner in (os.listdir(owners) if os.path.isdir(owners) else [])
        if os.path.isdir(os.path.join(owners, owner, "templates"))
        for name in os.listdir(os.path.join(owners, owner, "templates"))
    ]


def claudes(t):
    return [x for x in t.client.call("template.list")["templates"] if x.get("tool") == "claude"]


def test_host(t):
    c = t.client
    host = c.call("template.get", {"template": "host"})
    equal((host["name"], host["state"]), ("host", "ready"), "host")
    check(len(host["digest"]) == 64, host["digest"])
    check("host" in [x["name"] for x in c.call("template.list")["templates"]], "listed")
    equal(c.error("template.remove", {"template": "host"}).kind, "denied", "remove host")


def test_names(t):
    c = t.client
    for tool in ("claude@latest", "claude@^2", "claude@", "shell@1"):
        e = c.error("template.build", {"tool": tool})
        equal((e.kind, e.field), ("invalid_params", "tool"), tool)
    equal(c.error("template.build", {"tool": "hammer"}).kind, "not_found", "unknown")
    equal(c.error("sandbox.create", {"template": "debian@sid"}).kind, "unavailable", "another suite")
    equal(c.call("template.build", {"tool": "shell"})["name"], "host", "shell has no layer")


@timeout(BUILD_SECONDS + 60)
def test_claude(t):
    """Two ask at once, one layer is built; it runs, it is in use, it goes."""
    c = t.client
    other = t.connect()
    names = [t.unique("claude"), t.unique("claude")]
    spaces = [t.workspace(), t.workspace()]
    ids = [
        client.send("sandbox.create", {"name": name, "tool": "claude", "workspace": space})
        for client, name, space in zip((c, other), names, spaces)
    ]
    made = []
    for client, rid, name in zip((c, other), ids, names):
        made.append(client.wait(rid, BUILD_SECONDS))
        t.sandboxes.append((client, name))
        t.suite.ids.append(made[-1]["id"])
    found = claudes(t)
    equal([x["state"] for x in found], ["ready"], "templates")
    equal(len(layers(t)), 1, f"layers {layers(t)}")
    equal([s["template"] for s in made], [found[0]["name"]] * 2, "template of the sandboxes")
    check(found[0]["sizeBytes"] > 10 << 20, found)

    said = t.sh(made[0], "claude --version")
    equal(said.split()[0], found[0]["version"], "claude --version")
    check(t.sh(made[0], "command -v node").startswith("/opt/claude/"), "its own node")
    r = t.run(
        made[0], ["claude", "auth", "status"], env={"CLAUDE_CODE_OAUTH_TOKEN": "made-up"}
    )
    check('"loggedIn": true' in lib.text_of(exited(r)["stdout"]).decode(), "auth status")
    left = t.sh(made[1], "ls -A /tmp /root 2>/dev/null || true; cat /home/agent/.claude.json")
    check("npm" not in left and "hasCompletedOnboarding" in left, left)
    r = t.run(made[1], ["sh", "-c", "echo x >> /opt/claude/bin/claude"])
    check(r["exitCode"] != 0, "the agent may write to the tool")

    name = {"template": found[0]["name"]}
    equal(c.error("template.remove", name).kind, "conflict", "remove in use")
    equal(c.error("template.remove", {"template": "claude"}).kind, "conflict", "by tool")
    for client, s in zip((c, other), made):
        client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    c.call("template.remove", name)
    equal(claudes(t), [], "templates after remove")
    lib.until(lambda: not layers(t), 20, "the layer is gone")
    equal(c.error("template.get", name).kind, "not_found", "get after remove")


def sandbox_of(t, tool, client=None):
    """A sandbox of TOOL, with a workspace; builds the layer if it must."""
    c = client or t.client
    name = t.unique(tool.partition("@")[0])
    params = {"name": name, "tool": tool, "workspace": t.workspace()}
    made = c.call("sandbox.create", params, timeout=BUILD_SECONDS)
    t.sandboxes.append((c, name))
    t.suite.ids.append(made["id"])
    return made


def token(claims):
    """What looks like a JWT; nobody here checks who signed it."""
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(x).encode()).decode().rstrip("=") for x in parts]
    return ".".join([*texts, base64.urlsafe_b64encode(b"not signed by anybody").decode()])


def codex_login():
    """What `codex login` leaves in auth.json."""
    claims = {
        "exp": int(time.time()) + 10 * 86400,
        "email": "ann@example.org",
        "https://api.openai.com/auth": {"chatgpt_plan_type": "pro", "chatgpt_account_id": "account-1"},
    }
    tokens = {
        "id_token": token(claims),
        "access_token": token({**claims, "sub": "access"}),
        "refresh_token": "planted-refresh-token-0123456789",
        "account_id": "account-1",
    }
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    return {"OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": now}


CODEX = """
[secret codex_auth_json]
provider = command
command = /bin/cat PATH
"""


@timeout(BUILD_SECONDS)
def test_codex(t):
    """Its own node, its inner sandbox off, nothing to be asked at the first start, and a login only while it runs."""
    login = codex_login()
    path = t.put(t.workspace(), "auth.json", json.dumps(login))
    c = t.connect(daemon=t.private_daemon(config=CODEX.replace("PATH", path)))
    s = sandbox_of(t, "codex", c)
    layer = c.call("template.get", {"template": "codex"})
    check(layer["version"] in t.sh(s, "codex --version", client=c), "codex --version")
    check(t.sh(s, "command -v node", client=c).startswith("/opt/codex/"), "its own node")
    seed = t.sh(s, "cat ~/.codex/config.toml; stat -c %u ~/.codex", client=c)
    check('sandbox_mode = "danger-full-access"' in seed, seed)
    check('approval_policy = "never"' in seed and seed.split()[-1] == "1000", seed)
    # It reads its prompt from stdin; then it waits for a network, which there is not. By env: without a login.
    r = t.run(
        s,
        "env codex exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox"
        " -c model_provider=x -c model_providers.x.name=x -c model_providers.x.wire_api=responses"
        " -c model_providers.x.base_url=http://127.0.0.1:9 -".split(),
        client=c,
        stdin={"text": "the words of this prompt"},
        timeoutMs=4_000,
    )
    said = lib.text_of(r["stderr"]).decode()
    check("the words of this prompt" in said and "danger-full-access" in said, said)
    r = t.run(s, ["codex", "login", "status"], client=c, timeoutMs=30_000)
    said = (lib.text_of(r["stdout"]) + lib.text_of(r["stderr"])).decode()
    check(r["exitCode"] == 0 and "Logged in using ChatGPT" in said, f"{r}")
    # what runs beside it, and what comes after, has no login
    r = t.run(s, ["sh", "-c", "codex login status; ls ~/.codex/auth.json"], client=c, timeoutMs=30_000)
    said = (lib.text_of(r["stdout"]) + lib.text_of(r["stderr"])).decode()
    check(r["exitCode"] != 0 and "Not logged in" in said, f"{r}")
    # nobody in a sandbox can spend the refresh token
    script = "grep -c access_token ~/.codex/auth.json; grep -c planted-refresh ~/.codex/auth.json"
    r = t.run(s, ["sh", "-c", script], client=c, secrets=["codex_auth_json"])
    equal(lib.text_of(r["stdout"]).decode().split(), ["1", "0"], "what is in its copy")


def documented_tool():
    """The configuration of docs/tools.md, "A new tool"."""
    page = os.path.join(os.path.dirname(__file__), "../../docs/tools.md")
    with open(page, encoding="utf-8") as f:
        text = f.read()
    return re.search(r"^```ini\n(\[tool cow\].*?)^```", text, re.M | re.S).group(1)


def provider_files(url):
    """What tells each agent of the provider at URL, by its path in the home. gemini has variables, and
    its workspace (GEMINI_AUTH): that it believes it shows that the seed has made every folder trusted."""
    pi = {"baseUrl": url, "api": "openai-completions", "apiKey": "x", "models": [{"id": "m"}]}
    opencode = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": url, "apiKey": "x"},
        "models": {"m": {}},
    }
    return {
        "pi": (".pi/agent/models.json", {"providers": {"fake": pi}}),
        "opencode": (".config/opencode/config.json", {"provider": {"fake": opencode}}),
        "gemini": (None, None),
    }


GEMINI_AUTH = json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}})


@timeout(BUILD_SECONDS + 180)
@modes("root")
def test_others(t):
    """The other built-in tools, and one that is configuration alone (docs/tools.md), in a loop."""
    tools = ["pi", "gemini", "opencode", "cow"]
    d = t.private_daemon(config=documented_tool())
    c = t.connect(daemon=d)
    lid = t.unique("others")
    ws = t.workspace({".gemini/settings.json": GEMINI_AUTH})
    c.call(
        "loop.create",
        {"loopId": lid, "workDir": ws, "tools": tools, "network": "host"},
        timeout=BUILD_SECONDS,
    )
    made = {tool: f"loop-{lid}-{tool}" for tool in tools}
    listed = c.call("template.list")["templates"]
    versions = {x["tool"]: x["version"] for x in listed if "tool" in x}
    for tool in ("pi", "gemini", "opencode"):
        said = t.sh(made[tool], f"{tool} --version 2>&1", client=c)
        check(versions[tool] in said, f"{tool} says {said}")
    look_at_cow(t, c, made["cow"], versions["cow"])
    known = {x["name"]: x for x in c.call("system.info")["tools"]}
    equal(known["cow"]["timeoutMs"], 60_000, "timeout")
    equal([known[x]["needsHosts"] for x in ("cow", "pi")], [False, True], "hosts")
    with provider.Provider() as p:
        for tool, (path, content) in provider_files(p.url + "/v1").items():
            run_headless(t, c, p, lid, tool, path, content)
    r = c.call("loop.run", {"loopId": lid, "tool": "cow", "prompt": "moo", "model": "tux"})
    check(r["state"] == "completed" and "< moo >" in r["output"] and "|o_o |" in r["output"], r)
    r = t.ctl("run", "--name", made["cow"], "--network", "host", "cow", t.workspace(), daemon=d)
    check(b"< what now? >" in r.stdout, r)
    c.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)


def run_headless(t, c, p, lid, tool, path, content):
    """One run of the profile's own command line: the prompt by stdin, the model by its flag."""
    if path:
        script = f"mkdir -p ~/{os.path.dirname(path)}; cat >~/{path}"
        stdin = {"text": json.dumps(content)}
        exited(t.run(f"loop-{lid}-{tool}", ["sh", "-c", script], client=c, stdin=stdin))
    word = f"the-words-for-{tool}"
    r = c.call(
        "loop.run",
        {
            "loopId": lid,
            "tool": tool,
            "prompt": f"repeat {word}\n",
            "model": "gemini-2.5-flash" if tool == "gemini" else "fake/m",
            "artifacts": "none",
            "timeoutMs": 90_000,
            "env": {"GEMINI_API_KEY": "made-up", "GOOGLE_GEMINI_BASE_URL": p.url},
        },
        timeout=120,
    )
    check(r["state"] == "completed" and provider.ANSWER in r["output"], f"{tool}: {r}")
    check(any(word in asked for asked in p.asked), f"{tool} did not pass its prompt on")


def look_at_cow(t, c, s, version):
    equal(version, "1.6.0", "version")
    said = t.sh(s, "cat ~/.cowrc; echo $COW_MOOD", client=c)
    equal(said.splitlines(), ["eyes = oo", "tongue = no", "fine"], "seed, env")
    check(t.sh(s, "bun --version", client=c).strip()[0].isdigit(), "bun")
    where = t.sh(s, "for i in cowsay node bun; do command -v $i; done", client=c).split()
    equal(where, ["/opt/cow/bin/cowsay", "/opt/cow/bin/node", "/opt/bun/bin/bun"], "places")


RECIPE = """[tool own]
version = 1.5
install =
	mkdir bin
	printf '%s\\n' '#!/bin/sh' 'echo own WORD $(id -u)' >bin/own
	chmod 755 bin/own
check = own; echo $TOOL_VERSION
prompt = own
[tool liar]
version = 2.0
install = mkdir bin
check = echo version 1.9
[tool broken]
version = 2.0
install = echo no such luck; exit 7
"""


@timeout(120)
def test_recipe(t):
    """A tool without npm; another recipe is another layer; what fails its build says why."""
    d = t.private_daemon(config=RECIPE.replace("WORD", "one"))
    c = t.connect(daemon=d)
    s = sandbox_of(t, "own", c)
    equal(t.sh(s, "own", client=c).strip(), "own one 1000", "its program")
    first = c.call("template.get", {"template": "own"})
    for tool, words in (("liar", "it says 'version 1.9' and not 2.0"), ("broken", "no such luck")):
        e = c.error("template.build", {"tool": tool}, timeout=60)
        check(e.kind == "runtime_failed" and words in e.message, e.message)
    c.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    d.stop()
    d.write_config(RECIPE.replace("WORD", "two"))
    d.start()
    c = t.connect(daemon=d)
    s = sandbox_of(t, "own", c)
    equal(t.sh(s, "own", client=c).strip(), "own two 1000", "its new program")
    check(c.call("template.get", {"template": "own"})["digest"] != first["digest"], "digest")
    equal(sandbox_of(t, "own@1.6", c)["template"], "own@1.6", "another version")
    equal(c.error("sandbox.create", {"tool": "own@1.x/"}).field, "tool", "no version")


def test_bad_configuration(t):
    """Unknown keys and bad values are told with file and line; a tool that cannot work is refused."""
    config = "[tool x]\nversion = 1\ncolour = red\nseed ~/../y = z\noverlay = /etc/shadow\n"
    d = t.private_daemon(config=config, start=False)
    said = subprocess.run(
        [*d.command(), "--check-config"], capture_output=True, text=True, check=False, timeout=20
    )
    check(said.returncode != 0, "status")
    for line in (":3: unknown key colour", ":4: ", ":5: ", ":2: tool x has nothing to install"):
        check(line in said.stderr, f"{line} in {said.stderr}")
    d.start()
    e = t.connect(daemon=d).error("sandbox.create", {"tool": "x"})
    equal((e.kind, e.field), ("unavailable", "tool"), "create")


@timeout(120)
def test_cancel(t):
    """A build that nobody waits for any more is given up and leaves nothing."""
    c = t.client
    before = [s["name"] for s in c.call("sandbox.list")["sandboxes"]]
    rid = c.send("template.build", {"tool": "claude"})
    note = c.note("progress", timeout=30)
    equal(note["requestId"], rid, "requestId")
    check(note["message"], "message")
    c.notify("rpc.cancel", {"id": rid})
    try:
        c.wait(rid, 30)
        raise AssertionError("the build was not cancelled")
    except lib.RpcError as e:
        refused(e, "cancelled")
    lib.until(lambda: not claudes(t), 30, "the row is gone")
    lib.until(lambda: not layers(t), 20, "no layer")
    equal([s["name"] for s in c.call("sandbox.list")["sandboxes"]], before, "sandboxes")
