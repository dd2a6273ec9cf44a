/* SPDX-License-Identifier: Apache-2.0 */
/* libseccomp writes a comparison for each call of each ABI, and our program is two of its programs
 * one behind the other. What they say depends on three things: the architecture, the number and,
 * for few calls, the arguments. So IN is run with the first two known, once for each range of
 * numbers that it can tell apart. What is left over are decisions about arguments, as a graph in
 * which equal nodes are one node; mostly just an answer. Neighbours with the same node are one
 * range, and a binary search over the ranges comes first.
 *
 * Node 0 is none. Programs only jump forward, so the graph has no circles. */

#include "sandbox/seccomp-compact.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"

#define NODES_MAX 16384u
#define TABLE_SIZE (2 * NODES_MAX) /* a power of two */
#define ARCHES_MAX 8
#define EXCEPTIONS_MAX 3
#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define AND (BPF_ALU | BPF_AND | BPF_K)
#define ALWAYS (BPF_JMP | BPF_JA)
#define RETURN (BPF_RET | BPF_K)
#define OTHER_ARCH 0xdeadbeefu /* none that is known */

struct node {
	uint16_t code;
	uint32_t k;
	uint32_t next; /* of a jump: where it goes when it is so */
	uint32_t otherwise;
	uint32_t at;   /* its place, counted from the end; 0 until it is written */
	uint32_t near; /* the last place from which one gets there */
};

/* What the accumulator holds. */
enum held { HELD_ARGUMENT, HELD_NUMBER, HELD_ARCH };

struct compact {
	const struct sock_filter *in;
	size_t n_in;
	uint32_t arch; /* with which it is run */
	uint32_t number;
	uint32_t run; /* which run; a result of another one does not count */
	uint32_t arches[ARCHES_MAX];
	size_t n_arches;
	struct node *nodes;
	uint32_t n_nodes;
	uint32_t *table; /* of nodes, by their content */
	struct {
		uint32_t run;
		uint32_t node;
	} * seen;         /* by place in IN: what is left over from there */
	uint32_t *starts; /* of ranges of numbers */
	uint32_t *leaves; /* a node for each */
	size_t n_starts;
	struct sock_filter *out; /* from the end */
	size_t n_out;
	bool failed;
};

static uint32_t fail(struct compact *c)
{
	c->failed = true;
	return 0;
}

static uint32_t make(struct compact *c, struct node n)
{
	uint32_t hash = n.code * 31 + n.k;
	uint32_t *slot;
	const struct node *old;

	hash = (hash * 0x9e3779b1u ^ n.next) * 0x85ebca6bu ^ n.otherwise;
	hash *= 0xc2b2ae35u;
	for (hash ^= hash >> 15;; hash++) {
		slot = &c->table[hash % TABLE_SIZE];
		if (*slot == 0)
			break;
		old = &c->nodes[*slot];
		if (old->code == n.code && old->k == n.k && old->next == n.next &&
		    old->otherwise == n.otherwise)
			return *slot;
	}
	if (c->n_nodes == NODES_MAX)
		return fail(c);
	c->nodes[c->n_nodes] = n;
	*slot = c->n_nodes;
	return c->n_nodes++;
}

/* A load or a mask; nothing when what follows does not look at it. */
static uint32_t make_step(struct compact *c, uint16_t code, uint32_t k, uint32_t next)
{
	uint16_t after = c->nodes[next].code;

	if (after == RETURN || after == LOAD)
		return next;
	return make(c, (struct node){ .code = code, .k = k, .next = next });
}

static uint32_t make_jump(struct compact *c, uint16_t code, uint32_t k, uint32_t next,
			  uint32_t otherwise)
{
	if (next == otherwise)
		return next;
	return make(c, (struct node){ .code = code, .k = k, .next = next, .otherwise = otherwise });
}

/* ---- running it ---- */

/* One that is not met when an unknown architecture is run decides nothing for others. */
static void note_arch(struct compact *c, uint32_t arch)
{
	size_t i;

	for (i = 0; i < c->n_arches; i++)
		if (c->arches[i] == arch)
			return;
	if (c->n_arches == ARCHES_MAX || arch == OTHER_ARCH)
		c->failed = true;
	else
		c->arches[c->n_arches++] = arch;
}

/* Where the jump at PC goes from a known value. Masks would not leave ranges as they are. */
static size_t follow(struct compact *c, size_t pc, enum held held)
{
	const struct sock_filter *i = &c->in[pc];
	uint32_t value = held == HELD_ARCH ? c->arch : c->number;
	bool so;

	switch (i->code) {
	case BPF_JMP | BPF_JEQ | BPF_K:
		so = value == i->k;
		if (held == HELD_ARCH && c->arch == OTHER_ARCH)
			note_arch(c, i->k);
		break;
	case BPF_JMP | BPF_JGT | BPF_K:
		so = value > i->k;
		c->failed = c->failed || held == HELD_ARCH;
		break;
	case BPF_JMP | BPF_JGE | BPF_K:
		so = value >= i->k;
		c->failed = c->failed || held == HELD_ARCH;
		break;
	default:
		c->failed = true;
		so = false;
	}
	return pc + 1 + (so ? i->jt : i->jf);
}

static uint32_t walk(struct compact *c, size_t pc, enum held held);

static bool is_comparison(uint16_t code)
{
	return code == (BPF_JMP | BPF_JEQ | BPF_K) || code == (BPF_JMP | BPF_JGT | BPF_K) ||
	       code == (BPF_JMP | BPF_JGE | BPF_K) || code == (BPF_JMP | BPF_JSET | BPF_K);
}

/* The instruction at PC has to do with arguments: it stays. */
static uint32_t keep(struct compact *c, size_t pc)
{
	const struct sock_filter *i = &c->in[pc];
	uint32_t next, otherwise, node;

	if (c->seen[pc].run == c->run)
		return c->seen[pc].node;
	if (is_comparison(i->code)) {
		next = walk(c, pc + 1 + i->jt, HELD_ARGUMENT);
		otherwise = walk(c, pc + 1 + i->jf, HELD_ARGUMENT);
		node = c->failed ? 0 : make_jump(c, i->code, i->k, next, otherwise);
	} else {
		next = walk(c, pc + 1, HELD_ARGUMENT);
		node = c->failed ? 0 : make_step(c, i->code, i->k, next);
	}
	c->seen[pc].run = c->run;
	c->seen[pc].node = node;
	return node;
}

/* The node for what is left of IN from PC on. */
static uint32_t walk(struct compact *c, size_t pc, enum held held)
{
	const struct sock_filter *i;

	while (!c->failed && pc < c->n_in) {
		i = &c->in[pc];
		if (i->code == RETURN)
			return make(c, (struct node){ .code = RETURN, .k = i->k });
		if (i->code == LOAD && i->k == offsetof(struct seccomp_data, nr)) {
			held = HELD_NUMBER;
			pc++;
		} else if (i->code == LOAD && i->k == offsetof(struct seccomp_data, arch)) {
			held = HELD_ARCH;
			pc++;
		} else if (i->code == ALWAYS) {
			pc += 1 + (size_t)i->k;
		} else if (i->code == LOAD ||
			   (held == HELD_ARGUMENT && (i->code == AND || is_comparison(i->code)))) {
			return keep(c, pc);
		} else {
			pc = follow(c, pc, held);
		}
	}
	return fail(c);
}

/* ---- ranges ---- */

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Numbers from which on a comparison may say something else. Those with arguments only make more of
 * them, which then turn out to be the same. */
static void find_starts(struct compact *c)
{
	size_t i, n = 1;

	c->starts[0] = 0;
	for (i = 0; i < c->n_in; i++) {
		if (!is_comparison(c->in[i].code))
			continue;
		c->starts[n++] = c->in[i].k;
		c->starts[n++] = c->in[i].k + 1;
	}
	qsort(c->starts, n, sizeof(*c->starts), compare_numbers);
	for (c->n_starts = 1, i = 1; i < n; i++)
		if (c->starts[i] != c->starts[c->n_starts - 1])
			c->starts[c->n_starts++] = c->starts[i];
}

/* Ranges: from starts[i] to the next start, the last one to end, all leaves[i]. */
struct ranges {
	const uint32_t *starts;
	const uint32_t *leaves;
	size_t count;
	uint64_t end;
};

static bool is_single(const struct ranges *r, size_t i)
{
	return (i + 1 < r->count ? r->starts[i + 1] : r->end) - r->starts[i] == 1;
}

/* A few single numbers that differ from USUAL: one comparison for each is shorter than two. 0: they
 * are not that. */
static uint32_t exceptions(struct compact *c, const struct ranges *r, uint32_t usual)
{
	uint32_t node = usual;
	size_t i, n = 0;

	for (i = 0; i < r->count; i++) {
		if (r->leaves[i] == usual)
			continue;
		if (!is_single(r, i) || n++ == EXCEPTIONS_MAX)
			return 0;
		node = make_jump(c, BPF_JMP | BPF_JEQ | BPF_K, r->starts[i], r->leaves[i], node);
		if (c->failed)
			return 0;
	}
	return node;
}

static uint32_t search(struct compact *c, struct ranges r)
{
	struct ranges low = r, high = r;
	uint32_t node, below;

	node = exceptions(c, &r, r.leaves[0]);
	if (node == 0 && r.count > 1)
		node = exceptions(c, &r, r.leaves[1]);
	if (node != 0 || c->failed)
		return node;
	low.count = r.count / 2;
	low.end = r.starts[low.count];
	high.starts += low.count;
	high.leaves += low.count;
	high.count -= low.count;
	node = search(c, high);
	below = search(c, low);
	return c->failed ? 0 : make_jump(c, BPF_JMP | BPF_JGE | BPF_K, high.starts[0], node, below);
}

/* All of ARCH. */
static uint32_t for_arch(struct compact *c, uint32_t arch, uint32_t *starts)
{
	uint32_t node;
	size_t i, n = 0;

	c->arch = arch;
	for (i = 0; i < c->n_starts; i++) {
		c->number = c->starts[i];
		c->run++;
		node = walk(c, 0, HELD_ARGUMENT);
		if (c->failed)
			return 0;
		if (n > 0 && c->leaves[n - 1] == node)
			continue;
		starts[n] = c->starts[i];
		c->leaves[n++] = node;
	}
	node = search(c, (struct ranges){ starts, c->leaves, n, UINT64_C(1) << 32 });
	return c->failed ? 0 : make_step(c, LOAD, offsetof(struct seccomp_data, nr), node);
}

static uint32_t for_all(struct compact *c, uint32_t *scratch)
{
	uint32_t node = for_arch(c, OTHER_ARCH, scratch);
	size_t i;

	for (i = c->n_arches; i > 0 && !c->failed; i--)
		node = make_jump(c, BPF_JMP | BPF_JEQ | BPF_K, c->arches[i - 1],
				 for_arch(c, c->arches[i - 1], scratch), node);
	return c->failed ? 0 : make_step(c, LOAD, offsetof(struct seccomp_data, arch), node);
}

/* ---- writing it, from its end ---- */

static void put(struct compact *c, struct sock_filter i)
{
	if (c->n_out == c->n_in)
		c->failed = true; /* it would not get shorter */
	else
		c->out[c->n_out++] = i;
}

/* How far it is from an instruction that is written now. */
static uint32_t distance(const struct compact *c, uint32_t place)
{
	return (uint32_t)c->n_out - place;
}

/* A jump may be too short: then to something nearby that goes on to NODE. Returns its place. */
static uint32_t put_near(struct compact *c, uint32_t node)
{
	struct node *n = &c->nodes[node];

	if (distance(c, n->near) < UINT8_MAX) /* one more may come between */
		return n->near;
	if (n->code == RETURN)
		put(c, (struct sock_filter)BPF_STMT(RETURN, n->k));
	else
		put(c, (struct sock_filter)BPF_STMT(ALWAYS, distance(c, n->at)));
	return n->near = (uint32_t)c->n_out;
}

static void put_node(struct compact *c, uint32_t node)
{
	struct node *n = &c->nodes[node];
	uint32_t next, otherwise;

	if (n->at != 0 || c->failed)
		return;
	if (n->code == RETURN) {
		put(c, (struct sock_filter)BPF_STMT(RETURN, n->k));
	} else if (!is_comparison(n->code)) {
		put_node(c, n->next);
		if (distance(c, c->nodes[n->next].at) > 0)
			put(c, (struct sock_filter)BPF_STMT(ALWAYS,
							    distance(c, c->nodes[n->next].at)));
		put(c, (struct sock_filter)BPF_STMT(n->code, n->k));
	} else {
		put_node(c, n->next);
		put_node(c, n->otherwise);
		next = put_near(c, n->next);
		otherwise = put_near(c, n->otherwise);
		put(c, (struct sock_filter)BPF_JUMP(n->code, n->k, (uint8_t)distance(c, next),
						    (uint8_t)distance(c, otherwise)));
	}
	n->at = n->near = (uint32_t)c->n_out;
}

static int give(struct compact *c, struct sock_filter **ret, size_t *ret_count)
{
	struct sock_filter *all = calloc(c->n_out, sizeof(*all));
	size_t i;

	if (!all)
		return -ENOMEM;
	for (i = 0; i < c->n_out; i++)
		all[i] = c->out[c->n_out - 1 - i];
	*ret = all;
	*ret_count = c->n_out;
	return 0;
}

static int run(struct compact *c, uint32_t *scratch, struct sock_filter **ret, size_t *ret_count)
{
	uint32_t root;

	c->n_nodes = 1;
	find_starts(c);
	root = for_all(c, scratch);
	if (!c->failed)
		put_node(c, root);
	return c->failed || c->n_out == c->n_in ? -ENOTSUP : give(c, ret, ret_count);
}

int seccomp_compact(const struct sock_filter *in, size_t count, struct sock_filter **ret,
		    size_t *ret_count)
{
	const size_t n_starts = 2 * count + 1;
	struct compact c = { .in = in, .n_in = count };
	uint32_t *scratch = calloc(n_starts, sizeof(*scratch));
	int r = -ENOMEM;

	c.nodes = calloc(NODES_MAX, sizeof(*c.nodes));
	c.table = calloc(TABLE_SIZE, sizeof(*c.table));
	c.seen = calloc(count + 1, sizeof(*c.seen));
	c.starts = calloc(n_starts, sizeof(*c.starts));
	c.leaves = calloc(n_starts, sizeof(*c.leaves));
	c.out = calloc(count + 1, sizeof(*c.out));
	if (scratch && c.nodes && c.table && c.seen && c.starts && c.leaves && c.out)
		r = run(&c, scratch, ret, ret_count);
	free(scratch);
	free(c.nodes);
	free(c.table);
	free(c.seen);
	free(c.starts);
	free(c.leaves);
	free(c.out);
	return r;
}
