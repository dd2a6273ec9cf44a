/* SPDX-License-Identifier: Apache-2.0 */
/* Both scripts share functions in plain sh: a table of verbs, and one that says what may stand at a
 * place. What it says is a kind: "verbs", "options", "files", "dirs", words with "|" between them,
 * a list that `sandboxctl completion words` prints, or "none". */

#include "completion.h"

#include <ctype.h>
#include <string.h>

#include "macro.h"
#include "verbs.h"

#define WORD_MAX 32

/* What a word of the help stands for. */
static const struct {
	const char *word;
	const char *kind;
} kinds[] = {
	{ "SANDBOX", "sandboxes" }, { "EXEC", "execs" },     { "TEMPLATE", "templates" },
	{ "TOOL", "tools" },        { "LOOP", "loops" },     { "WORKSPACE", "dirs" },
	{ "EXTRA", "dirs" },        { "DIR", "dirs" },       { "FILE", "files" },
	{ "PATH", "files" },        { "SECRET", "secrets" }, { "TOOL|debian", "builds" },
	{ "LEASE", "leases" },
};

/* WORD without brackets, dots and what is behind it: "[EXTRA[:ro]]..." is "EXTRA". */
static void print_kind(FILE *f, const char *word, size_t length)
{
	size_t start = strspn(word, "["), n;

	n = strcspn(word + start, "[]:=. ");
	if (start + n > length)
		n = length - start;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].word) == n && memcmp(kinds[i].word, word + start, n) == 0) {
			fputs(kinds[i].kind, f);
			return;
		}
	if (memchr(word + start, '|', n) && islower((unsigned char)word[start]))
		fprintf(f, "%.*s", (int)n, word + start);
	else
		fputs("none", f);
}

static void print_operands(FILE *f, const char *operands)
{
	const char *p = operands, *end;

	while (*p && *p != '-' && strncmp(p, "[-", 2) != 0) { /* behind them: options, and -- */
		end = p + strcspn(p, " ");
		print_kind(f, p, (size_t)(end - p));
		if (end - p > 3 && memcmp(end - 3, "...", 3) == 0)
			fputs("...", f);
		p = end + strspn(end, " ");
		if (*p)
			fputc(' ', f);
	}
}

static void print_option_names(FILE *f, const struct option_row *row)
{
	for (; row->name; row++) {
		fprintf(f, " --%s", row->name);
		if (row->letter)
			fprintf(f, " -%c", row->letter);
	}
}

static const char *argument_of(const struct option_row *row)
{
	if (row->id == OPTION_OUTPUT)
		return "table|json";
	return row->id == OPTION_NETWORK ? "none|host" : row->argument;
}

static void print_option_arguments(FILE *f, const struct option_row *row)
{
	for (; row->name; row++) {
		if (!row->argument)
			continue;
		fprintf(f, " --%s=", row->name);
		print_kind(f, argument_of(row), strlen(argument_of(row)));
		if (!row->letter)
			continue;
		fprintf(f, " -%c=", row->letter);
		print_kind(f, argument_of(row), strlen(argument_of(row)));
	}
}

static void print_row(FILE *f, const char *name, const struct option_row *own,
		      const struct option_row *common, const struct verb *verb)
{
	fprintf(f, "\t\"%s\")\n\t\topts=\"", name);
	print_option_names(f, own);
	if (common)
		print_option_names(f, common);
	fputs("\"\n\t\targs=\"", f);
	print_option_arguments(f, own);
	if (common)
		print_option_arguments(f, common);
	fputs(" \"\n\t\toperands=\"", f);
	if (verb)
		print_operands(f, verb->operands);
	fprintf(f, "\"\n\t\tends=%s ;;\n", verb && verb->style == OPERANDS_END_OPTIONS ? "1" : "");
}

static void print_table(FILE *f)
{
	fputs("# The options, their arguments and the operands of a verb; \"\" is before it.\n"
	      "_sandboxctl_table() {\n\tcase \"$1\" in\n",
	      f);
	print_row(f, "", global_options, NULL, NULL);
	for (size_t i = 0; i < verbs_count; i++)
		print_row(f, verbs[i].name, verbs[i].options, common_options, &verbs[i]);
	fputs("\t*)\n\t\treturn 1 ;;\n\tesac\n}\n\n", f);
}

/* The words that may follow GROUP, each once. */
static void print_next_words(FILE *f, const char *group)
{
	size_t n = strlen(group);
	char last[WORD_MAX] = "";

	fprintf(f, "\t\"%s\") echo", group);
	for (size_t i = 0; i < verbs_count; i++) {
		const char *name = verbs[i].name;
		char word[WORD_MAX];

		if (n > 0 && (strncmp(name, group, n) != 0 || name[n] != ' '))
			continue;
		name += n > 0 ? n + 1 : 0;
		(void)snprintf(word, sizeof word, "%.*s", (int)strcspn(name, " "), name);
		if (strcmp(word, last) == 0)
			continue; /* verbs of a group stand together */
		fprintf(f, " %s", word);
		(void)snprintf(last, sizeof last, "%s", word);
	}
	fputs(" ;;\n", f);
}

static void print_words(FILE *f)
{
	char last[WORD_MAX] = "";

	fputs("# The words of verbs that may follow.\n_sandboxctl_verbs() {\n\tcase \"$1\" in\n",
	      f);
	print_next_words(f, "");
	for (size_t i = 0; i < verbs_count; i++) {
		char group[WORD_MAX];
		size_t n = strcspn(verbs[i].name, " ");

		if (verbs[i].name[n] == '\0')
			continue;
		(void)snprintf(group, sizeof group, "%.*s", (int)n, verbs[i].name);
		if (strcmp(group, last) != 0)
			print_next_words(f, group);
		(void)snprintf(last, sizeof last, "%s", group);
	}
	fputs("\tesac\n}\n\n", f);
}

/* EMULATE: what makes a function of zsh one of sh. */
static void print_core(FILE *f, const char *emulate)
{
	fprintf(f,
		"# Sets kind, and what it is to be chosen from: the first word is the one to\n"
		"# complete, the others come before it.\n"
		"_sandboxctl_find() {\n"
		"%s"
		"\tlocal cur=\"$1\" w pending=\"\" dashes=\"\" n=0\n"
		"\tshift\n"
		"\tverb=\"\" group=\"\" kind=none\n"
		"\t_sandboxctl_table \"\"\n"
		"\tfor w in \"$@\"; do\n"
		"\t\tif [ -n \"$pending\" ]; then\n"
		"\t\t\tpending=\"\"\n"
		"\t\t\tcontinue\n"
		"\t\tfi\n"
		"\t\tif [ -z \"$dashes\" ]; then\n"
		"\t\t\tcase \"$w\" in\n"
		"\t\t\t--) dashes=1; continue ;;\n"
		"\t\t\t-*)\n"
		"\t\t\t\tcase \"$args\" in *\" $w=\"*) pending=\"$w\" ;; esac\n"
		"\t\t\t\tcontinue ;;\n"
		"\t\t\tesac\n"
		"\t\tfi\n"
		"\t\tif [ \"$n\" -eq 0 ] && _sandboxctl_table \"${group:+$group }$w\"; then\n"
		"\t\t\tgroup=\"${group:+$group }$w\"\n"
		"\t\t\tverb=\"$group\"\n"
		"\t\telif [ -n \"$verb\" ]; then\n"
		"\t\t\tn=$((n + 1))\n"
		"\t\t\t[ -z \"$ends\" ] || dashes=1\n"
		"\t\telse\n"
		"\t\t\tgroup=\"${group:+$group }$w\"\n"
		"\t\tfi\n"
		"\tdone\n",
		emulate);
	fputs("\tif [ -n \"$pending\" ]; then\n"
	      "\t\tkind=\"${args#* $pending=}\"\n"
	      "\t\tkind=\"${kind%% *}\"\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase \"$dashes$cur\" in\n"
	      "\t-*) kind=options; return ;;\n"
	      "\tesac\n"
	      "\tif [ -z \"$verb\" ] ||\n"
	      "\t\t{ [ \"$dashes$n\" = 0 ] && [ -n \"$(_sandboxctl_verbs \"$group\")\" ]; }; then\n"
	      "\t\tkind=verbs\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tfor w in $operands; do\n"
	      "\t\tkind=\"${w%...}\"\n"
	      "\t\tif [ \"$n\" -eq 0 ] || [ \"$w\" != \"$kind\" ]; then\n"
	      "\t\t\treturn\n"
	      "\t\tfi\n"
	      "\t\tn=$((n - 1))\n"
	      "\tdone\n"
	      "\tkind=none\n"
	      "}\n\n",
	      f);
	fprintf(f,
		"# The words of a kind, one a line.\n"
		"_sandboxctl_list() {\n"
		"%s"
		"\tcase \"$kind\" in\n"
		"\tverbs) printf '%%s\\n' $(_sandboxctl_verbs \"$group\") ;;\n"
		"\toptions) printf '%%s\\n' $opts ;;\n"
		"\t*'|'*) printf '%%s\\n' \"$kind\" | tr '|' '\\n' ;;\n"
		"\tnone) ;;\n"
		"\t*) command sandboxctl completion words \"$kind\" 2>/dev/null ;;\n"
		"\tesac\n"
		"}\n\n",
		emulate);
}

void completion_bash(FILE *f)
{
	fputs("# bash completion for sandboxctl, made by: sandboxctl completion bash\n\n", f);
	print_table(f);
	print_words(f);
	print_core(f, "");
	fputs("_sandboxctl() {\n"
	      "\tlocal cur words cword kind verb group opts args operands ends IFS=$' \\t\\n'\n"
	      "\tif declare -F _get_comp_words_by_ref >/dev/null; then\n"
	      "\t\t_get_comp_words_by_ref -n := cur words cword\n"
	      "\telse\n"
	      "\t\tcur=${COMP_WORDS[COMP_CWORD]} words=(\"${COMP_WORDS[@]}\") cword=$COMP_CWORD\n"
	      "\tfi\n"
	      "\t_sandboxctl_find \"$cur\" \"${words[@]:1:cword-1}\"\n"
	      "\tIFS=$'\\n'\n"
	      "\tcase \"$kind\" in\n"
	      "\tfiles) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
	      "\tdirs) compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
	      "\t*) COMPREPLY=($(compgen -W \"$(IFS=$' \\t\\n'; _sandboxctl_list)\" -- \"$cur\")) "
	      ";;\n"
	      "\tesac\n"
	      "\tif declare -F __ltrim_colon_completions >/dev/null; then\n"
	      "\t\t__ltrim_colon_completions \"$cur\"\n"
	      "\tfi\n"
	      "}\n"
	      "complete -F _sandboxctl sandboxctl\n",
	      f);
}

void completion_zsh(FILE *f)
{
	fputs("#compdef sandboxctl\n# made by: sandboxctl completion zsh\n\n", f);
	print_table(f);
	print_words(f);
	print_core(f, "\temulate -L sh\n");
	fputs("_sandboxctl() {\n"
	      "\tlocal kind verb group opts args operands ends\n"
	      "\tlocal -a list\n"
	      "\t_sandboxctl_find \"${words[CURRENT]}\" \"${(@)words[2,CURRENT-1]}\"\n"
	      "\tcase \"$kind\" in\n"
	      "\tfiles) _files ;;\n"
	      "\tdirs) _files -/ ;;\n"
	      "\t*)\n"
	      "\t\tlist=(${(f)\"$(_sandboxctl_list)\"})\n"
	      "\t\tcompadd -a -- list ;;\n"
	      "\tesac\n"
	      "}\n\n"
	      "if [ \"${funcstack[1]}\" = _sandboxctl ]; then\n"
	      "\t_sandboxctl \"$@\"\n"
	      "else\n"
	      "\tcompdef _sandboxctl sandboxctl\n"
	      "fi\n",
	      f);
}
