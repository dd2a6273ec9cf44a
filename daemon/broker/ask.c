/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's error texts name hosts and TLS problems, nothing of what was sent or came. */

#include "ask.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "macro.h"

struct answer {
	uint8_t *data;
	size_t size;
	int too_big;
};

static size_t on_body(char *data, size_t one, size_t size, void *userdata)
{
	struct answer *a = userdata;

	(void)one; /* libcurl promises 1 */
	if (size > BROKER_ANSWER_MAX - a->size) {
		a->too_big = 1;
		return CURL_WRITEFUNC_ERROR;
	}
	memcpy(a->data + a->size, data, size);
	a->size += size;
	return size;
}

static int is_loopback(const char *host)
{
	return strcmp(host, "127.0.0.1") == 0 || strcmp(host, "[::1]") == 0 ||
	       strcmp(host, "localhost") == 0;
}

int ask_url_is_good(const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL;
	int good = 0;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		good = strcmp(scheme, "https") == 0 ||
		       (strcmp(scheme, "http") == 0 && is_loopback(host));
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(u);
	return good;
}

static struct curl_slist *make_headers(void)
{
	struct curl_slist *l = curl_slist_append(NULL, "Content-Type: application/json");
	struct curl_slist *more = l ? curl_slist_append(l, "Accept: application/json") : NULL;

	if (!more)
		curl_slist_free_all(l);
	return more;
}

static int set_up(CURL *c, const char *url, const uint8_t *body, size_t body_size,
		  uint32_t timeout_ms, struct answer *a)
{
	CURLcode r = curl_easy_setopt(c, CURLOPT_URL, url);

	if (r == CURLE_OK)
		r = curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body_size);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c, CURLOPT_USERAGENT, "sandboxd/" SANDBOXD_VERSION);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
	/* plain http stays on this machine (ask_url_is_good): no proxy may see it */
	if (r == CURLE_OK && strncmp(url, "https:", 6) != 0)
		r = curl_easy_setopt(c, CURLOPT_PROXY, "");
	return r == CURLE_OK ? 0 : -1;
}

static enum broker_outcome judge(CURLcode code, const struct answer *a)
{
	if (a->too_big)
		return BROKER_TOO_BIG;
	if (code == CURLE_OK)
		return BROKER_ANSWERED;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return BROKER_TIMEOUT;
	return code == CURLE_OUT_OF_MEMORY ? BROKER_FAILED : BROKER_UNREACHABLE;
}

static void perform(CURL *c, const struct answer *a, struct broker_reply *ret)
{
	CURLcode code = curl_easy_perform(c);
	long status = 0;

	ret->outcome = judge(code, a);
	if (ret->outcome != BROKER_ANSWERED) {
		(void)snprintf(ret->detail, sizeof(ret->detail), "%s", curl_easy_strerror(code));
		return;
	}
	(void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status); /* else 0: no success */
	ret->http_status = (uint32_t)status;
	ret->body_size = (uint32_t)a->size;
}

void ask(const char *url, const uint8_t *body, size_t body_size, uint32_t timeout_ms,
	 uint8_t *answer, struct broker_reply *ret)
{
	struct curl_slist *headers = make_headers();
	struct answer a = { .data = answer };
	CURL *c = curl_easy_init();

	*ret = (struct broker_reply){ .outcome = BROKER_FAILED };
	if (c && headers && curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
	    set_up(c, url, body, body_size, timeout_ms, &a) == 0)
		perform(c, &a, ret);
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
}
