/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keeper's event loop: descriptors, timers, ended children. One thread. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;

/* Embedded in what it belongs to; fd is borrowed and must be open until loop_forget(). Zeroed with
 * fd -1 it is idle. */
struct watch {
	int fd;
	bool active;
	void (*on_ready)(void *userdata, uint32_t events);
	void *userdata;
};

struct timer {
	struct timer *next;
	int64_t at; /* CLOCK_MONOTONIC, milliseconds */
	bool armed;
	void (*on_time)(void *userdata);
	void *userdata;
};

struct loop {
	int epoll;
	struct watch signals;
	struct timer *timers;
	bool stop;
	void (*on_child)(void *userdata, pid_t pid, int status);
	void (*on_terminate)(void *userdata);
	void *userdata;
};

/* Blocks SIGCHLD, SIGTERM, SIGINT and HUP and takes them over. */
int loop_init(struct loop *l);
void loop_deinit(struct loop *l);

/* Runs until l->stop. Returns 0 or negative errno. */
int loop_run(struct loop *l);

int loop_watch(struct loop *l, struct watch *w, uint32_t events);
int loop_change(struct loop *l, struct watch *w, uint32_t events);
void loop_forget(struct loop *l, struct watch *w);

/* Sets T to go off once in MS milliseconds (anew if it was armed). */
void timer_set(struct loop *l, struct timer *t, int64_t ms);
void timer_cancel(struct loop *l, struct timer *t);
