// Asking asks a server about each line, and writes the line with the answer.
//
//	in input    key,id
//	out         key,id=answer    answer: the body of the response, !STATUS when that is none of 200, ?REASON without one
//
// Lines whose id ends in 7 are not asked about: their answer is "self". The server is asked for URL/key/id.
#include "work.h"

static const char *base;

static wasmill_bytes made_line(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_char(&l, 'k');
	work_number(&l, wasmill_as_i64(r->value) % 7);
	work_char(&l, ',');
	work_number(&l, wasmill_as_i64(r->value));
	return work_end(l);
}

static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static wasmill_bytes text(const char *s) {
	uint32_t n = 0;
	while (s[n] != 0) n++;
	return (wasmill_bytes){(const uint8_t *)s, n};
}

static void ask(const wasmill_record *r, wasmill_request *q) {
	wasmill_bytes key = work_field(r->value, 0), id = work_field(r->value, 1), to = text(base);
	if (id.size > 0 && id.data[id.size - 1] == '7') return;
	work_line url = work_begin(to.size + key.size + id.size + 2);
	work_text(&url, to);
	work_char(&url, '/');
	work_text(&url, key);
	work_char(&url, '/');
	work_text(&url, id);
	wasmill_http(q, "GET", work_end(url), (wasmill_bytes){0});
	wasmill_http_header(q, "X-Asked-By", "asking");
}

static void answer(const wasmill_record *r, const wasmill_response *a, wasmill_out *out) {
	work_line l = work_begin(r->value.size + a->body.size + 24);
	work_text(&l, r->value);
	work_char(&l, '=');
	if (!a->asked) {
		work_text(&l, text("self"));
	} else if (a->status == 0) {
		work_text(&l, text(a->timed_out ? "?late" : a->refused ? "?refused" : "?broken"));
	} else if (a->status != 200) {
		work_char(&l, '!');
		work_number(&l, a->status);
	} else {
		work_text(&l, a->body);
	}
	wasmill_bytes line = work_end(l);
	wasmill_emit(out, line.data, line.size);
}

WASMILL_JOB("asking") {
	base = wasmill_param_or(job, "url", "http://127.0.0.1:1", "URL that is asked, before /key/id");
	wasmill_async a = {.request = ask, .response = answer, .codec = WASMILL_UTF8};
	a.hosts[0] = wasmill_param_or(job, "host", "127.0.0.1:1", "host that is asked, HOST:PORT");
	a.ordered = *wasmill_param_or(job, "ordered", "", "not empty: lines come out in their order") != 0;
	a.failures = *wasmill_param_or(job, "failures", "", "not empty: no answer is an answer, too") != 0;
	a.capacity = (uint32_t)wasmill_param_i64_or(job, "capacity", 100, "requests at once");
	a.timeout_ms = wasmill_param_i64_or(job, "timeout", 60000, "milliseconds to an answer");
	a.retries = (uint32_t)wasmill_param_i64_or(job, "retries", 0, "tries behind the first");
	a.delay_ms = wasmill_param_i64_or(job, "delay", 10, "milliseconds before a retry");
	a.grow_percent = 200;
	a.max_delay_ms = 10 * a.delay_ms;
	wasmill_stream lines = work_source(job, "input", "make", made_line);
	wasmill_stream asked = *wasmill_param_or(job, "keyed", "", "not empty: lines go by key") != 0
		? wasmill_async_wait_keyed(wasmill_key_by(lines, "key", key_of, WASMILL_UTF8), "ask", a)
		: wasmill_async_wait(lines, "ask", a);
	work_sink(wasmill_uid(asked, "ask"), "");
}
