/* SPDX-License-Identifier: Apache-2.0 */
/* `escape NAME [ARG]...` runs one attempt, `escape --list` names all. Exit status 0: everything was
 * refused; 1: something was not; 2: wrong use. */

#include "escape.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct attempt *const tables[] = {
	files_attempts,  process_attempts, mount_attempts, kernel_attempts, setid_attempts,
	limits_attempts, network_attempts, bombs_attempts, view_attempts,
};

int tried(bool succeeded, const char *format, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, format);
	(void)vprintf(format, args); /* a report that cannot be written fails the test anyway */
	va_end(args);
	if (succeeded)
		printf(": NOT REFUSED\n");
	else
		printf(": refused (%s)\n", strerror(saved));
	(void)fflush(stdout);
	return succeeded ? 1 : 0;
}

#ifdef __x86_64__
#define COMPAT_GETPID 20

static long call_80(long number, long a, long b, long c, long d)
{
	long r = number;

	__asm__ volatile("int $0x80"
			 : "+a"(r)
			 : "b"(a), "c"(b), "d"(c), "S"(d)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

/* gVisor takes int 0x80 for a call of the one table that it has (20 is writev there). */
static bool has_table(void)
{
	static int known;

	if (known == 0)
		known = call_80(COMPAT_GETPID, -1, 0, 0, 0) == getpid() ? 1 : -1;
	return known > 0;
}
#endif

long compat_call(long number, long a, long b, long c, long d)
{
#ifdef __x86_64__
	return has_table() ? call_80(number, a, b, c, d) : -ENOSYS;
#else
	(void)number, (void)a, (void)b, (void)c, (void)d;
	return -ENOSYS;
#endif
}

char *low_copy(const char *text)
{
#ifdef MAP_32BIT
	size_t size = strlen(text) + 1;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		       -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	memcpy(p, text, size);
	return p;
#else
	(void)text;
	return NULL;
#endif
}

static const struct attempt *find(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct attempt *a = tables[i]; a->name; a++)
			if (strcmp(a->name, name) == 0)
				return a;
	return NULL;
}

static void list(void)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct attempt *a = tables[i]; a->name; a++)
			printf("%s %s%s %s\n", a->name, a->who & WHO_AGENT ? "a" : "",
			       a->who & WHO_ROOT ? "r" : "", a->arguments ? a->arguments : "");
}

int main(int argc, char **argv)
{
	const struct attempt *a;

	if (argc < 2) {
		fprintf(stderr, "usage: escape --list | NAME [ARG]...\n");
		return 2;
	}
	if (strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	a = find(argv[1]);
	if (!a) {
		fprintf(stderr, "escape: no attempt is called %s\n", argv[1]);
		return 2;
	}
	return a->run(argv + 2) > 0 ? 1 : 0;
}
