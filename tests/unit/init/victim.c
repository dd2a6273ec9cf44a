/* SPDX-License-Identifier: Apache-2.0 */
/* What a bad citizen runs in a sandbox: victim MODE [COUNT]. Static, so that it works anywhere. */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static void close_everything(void)
{
	(void)syscall(SYS_close_range, 0u, ~0u, 0u); /* to leave no trace */
}

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

/* setsid, double fork, no descriptors, no environment, deaf to everything but KILL. */
static void hide(void)
{
	int number;

	if (fork() != 0)
		return;
	(void)setsid();
	if (fork() != 0)
		_exit(0);
	environ = NULL;
	close_everything();
	for (number = 1; number < 65; number++)
		(void)signal(number, SIG_IGN);
	sleep_for_ever();
}

/* Each in a session of its own, as many as there can be. */
static void bomb(void)
{
	for (;;)
		if (fork() == 0)
			(void)setsid();
}

/* Never the same process for long: fork, and the parent ends. */
static void hop(void)
{
	for (;;)
		if (fork() > 0)
			_exit(0);
}

static void *on_thread(void *unused)
{
	(void)unused;
	sleep_for_ever();
	return NULL;
}

/* Looks like a zombie: the first thread ends, another goes on. */
static void half_dead(void)
{
	pthread_t thread;

	if (fork() != 0)
		return;
	(void)setsid();
	if (pthread_create(&thread, NULL, on_thread, NULL) != 0)
		_exit(1);
	(void)syscall(SYS_exit, 0);
}

static void detach(void (*what)(void))
{
	if (fork() == 0) {
		(void)setsid();
		close_everything();
		what();
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int count = argc > 2 ? atoi(argv[2]) : 1;

	for (; count > 0; count--) {
		if (strcmp(mode, "hide") == 0)
			hide();
		else if (strcmp(mode, "half-dead") == 0)
			half_dead();
		else if (strcmp(mode, "hop") == 0)
			detach(hop);
		else if (strcmp(mode, "bomb") == 0)
			detach(bomb);
		else
			return 2;
	}
	(void)usleep(20000); /* so that they are under way */
	return 0;
}
