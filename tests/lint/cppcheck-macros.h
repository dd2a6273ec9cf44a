/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* sys/queue.h as far as cppcheck needs it: it reads no system header. */

#define LIST_HEAD(name, type)                                                                      \
	struct name {                                                                              \
		struct type *lh_first;                                                             \
	}
#define LIST_ENTRY(type)                                                                           \
	struct {                                                                                   \
		struct type *le_next;                                                              \
		struct type **le_prev;                                                             \
	}
#define STAILQ_HEAD(name, type)                                                                    \
	struct name {                                                                              \
		struct type *stqh_first;                                                           \
		struct type **stqh_last;                                                           \
	}
#define STAILQ_ENTRY(type)                                                                         \
	struct {                                                                                   \
		struct type *stqe_next;                                                            \
	}
#define TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *tqh_first;                                                            \
		struct type **tqh_last;                                                            \
	}
#define TAILQ_ENTRY(type)                                                                          \
	struct {                                                                                   \
		struct type *tqe_next;                                                             \
		struct type **tqe_prev;                                                            \
	}
#define SLIST_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *slh_first;                                                            \
	}
#define SLIST_ENTRY(type)                                                                          \
	struct {                                                                                   \
		struct type *sle_next;                                                             \
	}
#define TAILQ_FOREACH(v, head, field) for ((v) = (head)->tqh_first; (v); (v) = (v)->field.tqe_next)
#define LIST_FOREACH(v, head, field) for ((v) = (head)->lh_first; (v); (v) = (v)->field.le_next)
#define STAILQ_FOREACH(v, head, field)                                                             \
	for ((v) = (head)->stqh_first; (v); (v) = (v)->field.stqe_next)
