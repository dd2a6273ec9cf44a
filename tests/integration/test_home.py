# SPDX-License-Identifier: Apache-2.0
"""What a sandbox is shown of its owner's home: who he is to git, and the files that a tool names."""

import glob
import os
import pwd
import shutil

from gitrepo import git, repository
from lib import check, equal

NAME = 'Ann "A." O\'Hara \\ Söhne'
GIT_CONFIG = '[include]\n\tpath = more\n[user]\n\tname = "Ann \\"A.\\" O\'Hara \\\\ Söhne"\n'
OVERLAYS = (".claude/CLAUDE.md", ".codex/config.toml", ".gone/x", ".secret", ".folder")
TOOL = "[tool shell]\n" + "".join(f"overlay = ~/{x}\n" for x in OVERLAYS)


class Home:
    """The owner's home with what is in FILES, and nothing of it afterwards."""

    def __init__(self, t, files):
        self.t = t
        self.owned = os.getuid() == 0 and t.suite.owner != 0
        if self.owned:  # the daemon asks passwd for another's home
            self.path = pwd.getpwuid(t.suite.owner).pw_dir
        else:
            self.path = t.workspace()
        self.tops = {name.split("/")[0] for name in files}
        self.remove()
        for name, data in files.items():
            t.put(self.path, name, data)

    def remove(self):
        for name in self.tops:
            path = os.path.join(self.path, name)
            if os.path.islink(path) or os.path.isfile(path):
                os.unlink(path)
            elif os.path.isdir(path):
                shutil.rmtree(path)

    def daemon(self, config=""):
        env = {} if self.owned else {"HOME": self.path, "XDG_CONFIG_HOME": self.path + "/.config"}
        return self.t.connect(daemon=self.t.private_daemon(config=config, env=env))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def test_git_identity(t):
    """Commits inside are the owner's; what the repository or the agent says counts more."""
    repo = repository(t)
    with Home(t, {".gitconfig": GIT_CONFIG, "more": "[user]\n\temail = ann@example.org\n"}) as home:
        c = home.daemon()
        s = t.sandbox(client=c, workspace=repo)
        t.sh(s, "git commit -q --allow-empty -m inside", client=c)
        said = git(t, repo, "log", "-1", "--format=%an <%ae> %cn")
        equal(said.strip(), f"{NAME} <ann@example.org> {NAME}", "author")
        c.call("sandbox.stop", {"sandbox": s["name"]})
        c.call("sandbox.start", {"sandbox": s["name"]})
        equal(t.sh(s, "grep -c email /etc/gitconfig", client=c).strip(), "1", "said once")
        t.sh(s, "git config --global user.name Robot", client=c)
        equal(t.sh(s, "git config user.name", client=c).strip(), "Robot", "the agent's own")
        git(t, repo, "config", "user.email", "work@example.org")
        said = t.sh(s, "git config user.email", client=c).strip()
        equal(said, "work@example.org", "the repository's")


def test_no_git_identity(t):
    repo = repository(t)
    bad = '[user]\n\tname = "a\\tb"\n\temail = ' + "x" * 300 + "\n"
    off = "[daemon]\ngit_identity = no\n"
    for text, config in ((bad, ""), (GIT_CONFIG, off)):
        with Home(t, {".gitconfig": text}) as home:
            c = home.daemon(config)
            s = t.sandbox(client=c, workspace=repo)
            equal(t.sh(s, "git config user.name || true", client=c), "", config or "control characters")


def overlay_files(t):
    return {
        ".claude/CLAUDE.md": "be brief\n",
        "dotfiles/codex.toml": "model = 'x'\n",
        ".folder/x": "",
        ".secret": "",
    }


def test_authorities(t):
    """Node learns of those that the machine was given, also below a daemon without an environment."""
    added = glob.glob("/usr/local/share/ca-certificates/*.crt") + glob.glob("/usr/local/share/ca-certificates/*/*.crt")
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    for given, inside in (("", bundle if added else ""), ("/usr/bin/env", "/usr/bin/env")):
        c = t.connect(daemon=t.private_daemon(env={"NODE_EXTRA_CA_CERTS": given}))
        s = t.sandbox(client=c)
        equal(t.sh(s, 'echo "$NODE_EXTRA_CA_CERTS"', client=c).strip(), inside, "inside")


def test_overlays(t):
    """Read-only, through links, as the owner; a running agent writes beside them."""
    with Home(t, overlay_files(t)) as home:
        home.tops.add(".codex")
        os.makedirs(home.path + "/.codex", exist_ok=True)
        os.symlink("../dotfiles/codex.toml", home.path + "/.codex/config.toml")
        if home.owned:  # readable for the root daemon only
            os.unlink(home.path + "/.secret")
            os.symlink("/etc/shadow", home.path + "/.secret")
        c = home.daemon(TOOL)
        s = t.sandbox(client=c, tool="shell", workspace=t.workspace())
        look_at_overlays(t, c, s, home)
        t.sh(s, "mv ~/.claude ~/old; ln -s /etc ~/.claude", client=c)
        c.call("sandbox.stop", {"sandbox": s["name"]})
        c.call("sandbox.start", {"sandbox": s["name"]})
        equal(t.sh(s, "cat ~/.codex/config.toml", client=c), "model = 'x'\n", "after a start")
        check("CLAUDE.md" not in t.sh(s, "ls /etc", client=c), "nothing where the agent's link leads")


def look_at_overlays(t, c, s, home):
    said = t.sh(s, "cat ~/.claude/CLAUDE.md ~/.codex/config.toml", client=c)
    equal(said, "be brief\nmodel = 'x'\n", "content")
    said = t.sh(s, "cat ~/.claude/CLAUDE.md", client=c, stage="reviewer")
    equal(said, "be brief\n", "in the view of a stage")
    equal(t.sh(s, "cd; ls -d .gone .folder 2>/dev/null || true", client=c), "", "what is no file")
    if home.owned:
        equal(t.sh(s, "ls ~/.secret 2>/dev/null || true", client=c), "", "not the owner's to read")
    for user, script in (
        ("agent", "echo x >>~/.claude/CLAUDE.md"),
        ("agent", "rm -f ~/.claude/CLAUDE.md"),
        ("agent", "mv ~/.codex/config.toml ~/x"),
        ("root", "echo x >>/home/agent/.claude/CLAUDE.md"),
    ):
        r = t.run(s, ["sh", "-c", script], client=c, user=user)
        check(r["exitCode"] != 0, script)
    t.sh(s, "echo mine >~/.claude/other; mkdir ~/.codex/sessions", client=c)
    with open(home.path + "/.claude/CLAUDE.md", encoding="ascii") as f:
        equal(f.read(), "be brief\n", "the host's file")
    check(not os.path.exists(home.path + "/.claude/other"), "the host's folder")
