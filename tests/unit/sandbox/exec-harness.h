/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The exec side between a made-up init (a seqpacket socket that the test plays) and the made-up
 * neighbours of exec-fixture.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec-fixture.h"
#include "init-wire.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"

#define GRACE_MS 60
#define PATIENCE_MS 20000

extern struct manager manager;
extern struct config config;
extern int init_fd; /* init's end */
extern struct wire_message *said;
extern bool ready, client_lost;
extern unsigned started, ended; /* that the follower heard of */
extern unsigned slow;
extern int64_t start_ms; /* that init's client waits for a start; 0: as long as always */
extern struct exec_run_params params;
extern struct exec *exec;
extern struct exec_follow *follow;

extern bool box_runs; /* before its init is connected; to be set before setup() */
/* What init tells of earlier execs; to be set before setup(). */
extern void (*say_known)(void);

void setup(void);
void setup_impatient(void);
void setup_patient(void);
void teardown(void);

int64_t loop_ms(void); /* the clock of the loop's timers */
void turn(void);
/* The next message of the daemon, which must be of TYPE. */
const void *hear(enum init_message_type type);
void hear_nothing(void);
void say(void *message, uint16_t type, size_t size);
void say_started(uint64_t number, enum init_start_error why, int error);
void say_exited(uint64_t number, int code, int signal_number, uint32_t alive);
void say_gone(uint64_t number, uint32_t killed);

/* As `params` say, with FD as stdout and stderr; followed. */
void start(int fd);
uint64_t start_and_hear(int fd);
uint64_t start_running(int fd);
int null_fd(void);
void wait_ended(void);
void expect(enum exec_cause cause, int code, int signal_number);
