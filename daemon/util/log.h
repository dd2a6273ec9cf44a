/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Logging: the journal when stderr is connected to it, else stderr. Lines are escaped and capped. A
 * function logs or returns an error, not both; only the boundary logs. Never blocks the daemon. */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

void log_set_level(enum log_level level);
/* Structured fields for the journal: any may be NULL. */
struct log_fields {
	const char *sandbox;
	const char *loop;
	const char *exec;
	const char *method;
	const char *conn;
};
void log_message(enum log_level level, const struct log_fields *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Logs "…: strerror(-r)" and returns r (negative errno). */
int log_errno(enum log_level level, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* For lines that a client can provoke: true at most BURST times per second and call site. */
#define log_ratelimit()                                                                            \
	({                                                                                         \
		static struct log_rate rate_;                                                      \
		log_rate_allows(&rate_);                                                           \
	})
struct log_rate {
	long second;
	unsigned count;
	unsigned suppressed;
};
int log_rate_allows(struct log_rate *rate);

#define log_error(...) log_message(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_message(LOG_LEVEL_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_message(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_message(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)
