/* SPDX-License-Identifier: Apache-2.0 */
/* For every tool of a layer: its npm package, its own install lines. Then the seeds, and the checks
 * of all.
 *
 * A layer depends on nothing of the host's but its npm, and on that only while it is built: node
 * comes from the npm package of the platform (`node` itself is a wrapper whose preinstall script
 * downloads that package a second time). Scripts of packages are not run; where one is needed, the
 * install lines run it by name, with the layer's node. --prefix would do without a package.json,
 * but npm then reads its global configuration, where the host's certificates may be named, from
 * below that prefix too. */

#include "sandbox/tool-steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/config.h"
#include "sandbox/tool-profile.h"
#include "util/strings.h"

/* HOME and the cache are in /tmp, which no layer keeps. */
static const char npm_script[] =
	"command -v npm >/dev/null || {"
	" echo 'npm is not installed on this machine (apt-get install npm)'; exit 1; }\n"
	"case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;;"
	" *) echo \"no node package for $(uname -m)\"; exit 1 ;; esac\n"
	"mkdir -p \"$HOME\" \"$TOOL_PREFIX\"\n"
	"cd \"$TOOL_PREFIX\"\n"
	"echo '{}' >package.json\n" /* else npm looks for one further up */
	"set -- \"$NPM_PACKAGE@$TOOL_VERSION\"\n"
	"[ \"$NODE_VERSION\" = none ] || set -- \"$@\" \"node-linux-$arch@$NODE_VERSION\"\n"
	"npm install --no-save --no-package-lock --ignore-scripts"
	" --no-audit --no-fund --no-update-notifier --loglevel error --cache /tmp/npm-cache"
	" --fetch-retry-mintimeout 1000 --fetch-retry-factor 2 \"$@\" </dev/null\n"
	"rm -rf /tmp/npm-cache \"node_modules/node-linux-$arch/include\"\n"
	"ln -sfn node_modules/.bin bin\n";

static const char install_head[] = "mkdir -p \"$HOME\" \"$TOOL_PREFIX\"\n"
				   "cd \"$TOOL_PREFIX\"\n"
				   "PATH=$TOOL_PREFIX/bin:$PATH; export PATH\n";

static const char check_head[] = "HOME=$(mktemp -d); export HOME\n"
				 "PATH=$TOOL_PREFIX/bin:/usr/bin:/bin; export PATH\n";

static const char check_node[] = "[ \"$(node --version)\" = \"v$NODE_VERSION\" ] ||"
				 " { echo \"its node is not $NODE_VERSION\"; exit 1; }\n";

/* What the lines print must name the version. */
static const char check_begin[] = "said=$(exec 2>&1\n";
static const char check_end[] =
	")\n"
	"case $said in *\"$TOOL_VERSION\"*) ;;"
	" *) echo \"it says '$said' and not $TOOL_VERSION\"; exit 1 ;; esac\n";

static const char check_tail[] = "rm -rf \"$HOME\"\n";

/* ---- texts ---- */

struct text {
	char *data; /* NULL: empty, or out of memory */
	bool failed;
};

static void append(struct text *t, const char *more)
{
	char *longer = t->failed ? NULL : string_format("%s%s", t->data ? t->data : "", more);

	t->failed = !longer;
	free(t->data);
	t->data = longer;
}

static void append_lines(struct text *t, const struct tool_lines *l)
{
	for (size_t i = 0; i < l->lines.count; i++) {
		append(t, l->lines.items[i]);
		append(t, "\n");
	}
}

/* As one word of the shell. */
static void append_quoted(struct text *t, const char *word)
{
	char one[2] = { 0 };

	append(t, "'");
	for (; *word; word++) {
		one[0] = *word;
		append(t, *word == '\'' ? "'\\''" : one);
	}
	append(t, "'");
}

/* ---- steps ---- */

/* Takes SCRIPT's text. */
static int add_step(struct tool_steps *s, const struct tool_step *step, const char *what,
		    struct text *script)
{
	struct tool_step *items = reallocarray(s->items, s->count + 1, sizeof(*items));
	struct tool_step *added;

	if (items)
		s->items = items;
	if (!items || script->failed) {
		free(script->data);
		return -ENOMEM;
	}
	added = &items[s->count++];
	*added = *step;
	added->message = string_format("%s: %s", step->profile->name, what);
	added->script = script->data;
	return added->message ? 0 : -ENOMEM;
}

static bool has_node(const struct tool_step *of)
{
	return of->profile->npm && !string_equal(of->node, TOOL_NODE_NONE);
}

static int add_install(struct tool_steps *s, const struct tool_step *of)
{
	const struct tool_profile *p = of->profile;
	struct text npm = { 0 }, own = { 0 };
	int r = 0;

	if (p->npm) {
		append(&npm, npm_script);
		r = add_step(s, of,
			     has_node(of) ? "installing it and its node from npm"
					  : "installing it from npm",
			     &npm);
	}
	if (r < 0 || p->install.lines.count == 0)
		return r;
	append(&own, install_head);
	append_lines(&own, &p->install);
	return add_step(s, of, "running its install lines", &own);
}

static void append_seed(struct text *t, const struct tool_seed *seed)
{
	CLEANUP_STR char *path = string_format(TOOL_HOME "/%s", seed->path);

	t->failed = t->failed || !path;
	if (t->failed || seed->content.lines.count == 0)
		return;
	append(t, "file=");
	append_quoted(t, path);
	append(t, "\nmkdir -p \"${file%/*}\"\nprintf '%s\\n' >\"$file\"");
	for (size_t i = 0; i < seed->content.lines.count; i++) {
		append(t, " \\\n\t");
		append_quoted(t, seed->content.lines.items[i]);
	}
	append(t, "\n");
}

static int add_seeds(struct tool_steps *s, const struct tool_step *of)
{
	struct tool_step step = *of;
	struct text script = { 0 };

	for (const struct tool_seed *seed = of->profile->seeds; seed; seed = seed->next)
		append_seed(&script, seed);
	if (!script.data && !script.failed)
		return 0;
	step.as_agent = true;
	return add_step(s, &step, "preparing the home", &script);
}

static int add_check(struct tool_steps *s, const struct tool_step *of)
{
	const struct tool_profile *p = of->profile;
	struct tool_step step = *of;
	struct text script = { 0 };

	if (p->check.lines.count == 0 && !has_node(of))
		return 0;
	append(&script, check_head);
	if (has_node(of))
		append(&script, check_node);
	if (p->check.lines.count > 0) {
		append(&script, check_begin);
		append_lines(&script, &p->check);
		append(&script, check_end);
	}
	append(&script, check_tail);
	step.as_agent = true;
	return add_step(s, &step, "checking that it runs", &script);
}

/* The tools of a layer: those that it is with, then itself. */
static struct tool_step component(const struct tool_choice *choice, size_t i)
{
	const struct tool_profile *p = choice->profile;
	struct tool_step of = { .profile = p, .version = choice->version, .node = choice->node };

	if (i < p->with.count) {
		of.profile = tool_find(choice->config, p->with.items[i]); /* config-tool.c */
		of.version = of.profile->version;
		of.node = tool_profile_node(of.profile);
	}
	return of;
}

int tool_steps_make(struct tool_steps *ret, const struct tool_choice *choice)
{
	const size_t n = choice->profile->with.count + 1;
	CLEANUP_TOOL_STEPS struct tool_steps s = { 0 };
	struct tool_step of;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		of = component(choice, i);
		r = add_install(&s, &of);
	}
	if (r == 0)
		r = add_seeds(&s, &of);
	for (size_t i = 0; r == 0 && i < n; i++) {
		of = component(choice, i);
		r = add_check(&s, &of);
	}
	if (r < 0)
		return r;
	*ret = s;
	s = (struct tool_steps){ 0 };
	return 0;
}

void tool_steps_deinit(struct tool_steps *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].message);
		free(s->items[i].script);
	}
	free(s->items);
	*s = (struct tool_steps){ 0 };
}
