// Operators is the guest that abi/conformance runs its scenarios of windows, joins in windows, requests, broadcast states and lists
// of the operator against, in C. Every SDK has one, with the same functions under the same names; what it lacks it leaves out.
#include "wasmill.h"

static wasmill_bytes own_key(const wasmill_record *r) { return r->value; }

static wasmill_pair key_and_length(const wasmill_record *r) { return (wasmill_pair){r->value, wasmill_i64(r->value.size)}; }

static wasmill_bytes digits(int64_t v) {
	uint8_t *end = (uint8_t *)wasmill_scratch(20) + 20, *p = end;
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do *--p = (uint8_t)('0' + left % 10);
	while ((left /= 10) != 0);
	if (v < 0) *--p = '-';
	return (wasmill_bytes){p, (uint32_t)(end - p)};
}

// join returns texts, up to one without data, as one.
static wasmill_bytes join(const wasmill_bytes *parts) {
	uint32_t size = 0, at = 0;
	for (const wasmill_bytes *p = parts; p->data != NULL; p++) size += p->size;
	uint8_t *joined = wasmill_scratch(size);
	for (; parts->data != NULL; parts++) {
		for (uint32_t i = 0; i < parts->size; i++) joined[at++] = parts->data[i];
	}
	return (wasmill_bytes){joined, size};
}

#define TEXT(s) wasmill_string(s)
#define JOIN(...) join((const wasmill_bytes[]){__VA_ARGS__, {NULL, 0}})

static void emit(wasmill_out *out, wasmill_bytes b) { wasmill_emit(out, b.data, b.size); }

static bool is(wasmill_bytes b, const char *text) {
	uint32_t i = 0;
	while (i < b.size && text[i] != 0 && b.data[i] == (uint8_t)text[i]) i++;
	return i == b.size && text[i] == 0;
}

// Report says what a window has, how many results it has had, how many values results of the key have had so far, and why it has this
// one. Sums above 99 go to a side output; -13 fails after a change.
enum { ALL, RESULTS };

static void report(wasmill_context *c, const wasmill_co_group *window) {
	int64_t n = 0, sum = 0;
	wasmill_records r = wasmill_records_of(window, 0);
	for (; wasmill_next_record(&r); n++) sum += wasmill_as_i64(r.record.value);
	int64_t all = wasmill_get_i64(c, ALL, 0) + n, results = wasmill_get_i64(c, RESULTS, 0) + 1;
	wasmill_put_i64(c, ALL, all);
	wasmill_put_i64(c, RESULTS, results);
	const char *why = c->timing == WASMILL_EARLY ? "early" : c->timing == WASMILL_LATE ? "late" : "on time";
	emit(c->out, JOIN(TEXT("n="), digits(n), TEXT(" sum="), digits(sum), TEXT(" result "), digits(results), TEXT(" of "), digits(c->start), TEXT(".."),
		digits(c->end), TEXT(", "), digits(all), TEXT(" of all, "), TEXT(why)));
	if (sum > 99) wasmill_emit_side(c->out, 1, &sum, sizeof sum);
	if (sum == -13) wasmill_fail("an unlucky sum");
}

// Totals has sums folded, and says of what time they are.
static wasmill_bytes zero(void) { return wasmill_i64(0); }
static wasmill_bytes plus(wasmill_bytes a, wasmill_bytes b) { return wasmill_i64(wasmill_as_i64(a) + wasmill_as_i64(b)); }
static wasmill_bytes same(wasmill_bytes a) { return a; }

static void total(wasmill_context *c, wasmill_bytes sum) {
	emit(c->out, JOIN(digits(wasmill_as_i64(sum)), TEXT(" of "), digits(c->start), TEXT(".."), digits(c->end)));
}

// Enough fires when the values make 10 or more, and is purged when they make 100 or more, and at its end, for which it sets a timer
// with its first value. 0 sets a timer 10 ms ahead by the clock, which fires; a negative value takes the first timer back, and purges.
enum { SUM };

static wasmill_decision enough(wasmill_context *c, const wasmill_record *r) {
	int64_t v = wasmill_as_i64(r->value), sum = wasmill_get_i64(c, SUM, 0) + v;
	if (wasmill_get(c, SUM).data == NULL) wasmill_set_timer(c, WASMILL_EVENT_TIME, c->end - 1);
	if (v == 0) {
		wasmill_set_timer(c, WASMILL_PROCESSING_TIME, c->now + 10);
		return WASMILL_CONTINUE;
	}
	if (v < 0) {
		wasmill_delete_timer(c, WASMILL_EVENT_TIME, c->end - 1);
		return WASMILL_PURGE;
	}
	wasmill_put_i64(c, SUM, sum);
	return sum >= 100 ? WASMILL_FIRE_AND_PURGE : sum >= 10 ? WASMILL_FIRE : WASMILL_CONTINUE;
}

static wasmill_decision ring(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)c, (void)time;
	return clock == WASMILL_PROCESSING_TIME ? WASMILL_FIRE : WASMILL_FIRE_AND_PURGE;
}

static void merged(wasmill_context *c) {
	wasmill_bytes sums[16];
	int64_t all = 0;
	for (uint32_t i = 0, n = wasmill_merged(c, SUM, sums, 16); i < n; i++) all += wasmill_as_i64(sums[i]);
	wasmill_put_i64(c, SUM, all);
	wasmill_set_timer(c, WASMILL_EVENT_TIME, c->end - 1);
}

// Plenty fires when one of the values is 10 or more.
enum { MOST, TOTAL };

static wasmill_bytes larger(wasmill_bytes a, wasmill_bytes b) { return wasmill_as_i64(a) < wasmill_as_i64(b) ? b : a; }

static wasmill_decision plenty(wasmill_context *c, const wasmill_record *r) {
	wasmill_add(c, MOST, r->value);
	return wasmill_as_i64(wasmill_result(c, MOST)) >= 10 ? WASMILL_FIRE : WASMILL_CONTINUE;
}

// Odd leaves odd values out of what kept counts.
static void odd(const wasmill_group *window, const wasmill_record *records, uint32_t n, bool *stay) {
	(void)window;
	for (uint32_t i = 0; i < n; i++) stay[i] = wasmill_as_i64(records[i].value) % 2 == 0;
}

static void kept(wasmill_context *c, const wasmill_co_group *window) {
	int64_t n = 0;
	wasmill_records r = wasmill_records_of(window, 0);
	while (wasmill_next_record(&r)) n++;
	wasmill_emit(c->out, &n, sizeof n);
}

static int64_t pause_of(const wasmill_record *r) { return wasmill_as_i64(r->value) + 1; }

// Together emits each text with the sum of the numbers, or "none" if there is no text; "bad" fails.
static void together(const wasmill_co_group *g, wasmill_out *out) {
	wasmill_records texts = wasmill_records_of(g, 0), numbers = wasmill_records_of(g, 1);
	int64_t sum = 0;
	bool any = false;
	while (wasmill_next_record(&numbers)) sum += wasmill_as_i64(numbers.record.value);
	for (; wasmill_next_record(&texts); any = true) {
		if (is(texts.record.value, "bad")) wasmill_fail("a bad text");
		emit(out, JOIN(texts.record.value, TEXT("="), digits(sum)));
	}
	if (!any) emit(out, JOIN(TEXT("none="), digits(sum)));
}

// Met emits texts with the number that they meet, at that number's time if that is below 100, or with "none".
static void met(const wasmill_record *text, const wasmill_record *number, wasmill_out *out) {
	if (number == NULL) {
		emit(out, JOIN(text->value, TEXT("=none")));
		return;
	}
	int64_t n = wasmill_as_i64(number->value);
	wasmill_bytes equation = JOIN(text->value, TEXT("="), digits(n));
	if (n < 100) wasmill_emit_at(out, n, equation.data, equation.size);
	else emit(out, equation);
}

// Ask asks about texts, but for the empty one and "bad", which fails; "send" is posted. It emits what was answered, or why nothing was.
static void ask(const wasmill_record *r, wasmill_request *q) {
	if (r->value.size == 0) return;
	if (is(r->value, "bad")) {
		wasmill_fail("a bad text");
	} else if (is(r->value, "send")) {
		wasmill_http(q, "POST", TEXT("http://host.test/"), r->value);
	} else {
		wasmill_http(q, "GET", JOIN(TEXT("http://host.test/"), r->value), (wasmill_bytes){NULL, 0});
		wasmill_http_header(q, "Accept", "text/plain");
	}
}

static void answered(const wasmill_record *r, const wasmill_response *a, wasmill_out *out) {
	if (!a->asked) {
		emit(out, TEXT("nothing was asked"));
		return;
	}
	if (a->status == 0) {
		const char *what = a->timed_out ? "timed out" : a->refused ? "refused" : "broken";
		emit(out, JOIN(r->value, TEXT(" "), TEXT(what), TEXT(": "), a->body));
		return;
	}
	wasmill_bytes kind = wasmill_response_header(a, "x-kind"), answer = JOIN(r->value, TEXT("="), digits(a->status), TEXT(" "), a->body);
	emit(out, kind.data == NULL ? answer : JOIN(answer, TEXT(" of kind "), kind));
}

// Recent counts the values of a key in a state that ends by event time.
enum { COUNT };

static void recent(wasmill_context *c, const wasmill_record *r) {
	(void)r;
	int64_t n = wasmill_get_i64(c, COUNT, 0) + 1;
	wasmill_put_i64(c, COUNT, n);
	wasmill_emit(c->out, &n, sizeof n);
}

// Tally says what the largest value is and what all make with 100. 0 forgets them.
static wasmill_bytes hundred(void) { return wasmill_i64(100); }
static wasmill_bytes sum_of(wasmill_bytes a) { return JOIN(TEXT("sum "), digits(wasmill_as_i64(a))); }

static const wasmill_aggregator from_hundred = {.create = hundred, .add = plus, .result = sum_of};

static void tally(wasmill_context *c, const wasmill_record *r) {
	if (wasmill_as_i64(r->value) == 0) {
		wasmill_clear(c, MOST);
		wasmill_clear(c, TOTAL);
	} else {
		wasmill_add(c, MOST, r->value);
		wasmill_add(c, TOTAL, r->value);
	}
	wasmill_bytes most = wasmill_result(c, MOST), sum = wasmill_result(c, TOTAL);
	emit(c->out, sum.data == NULL ? TEXT("nothing") : JOIN(TEXT("most "), digits(wasmill_as_i64(most)), TEXT(", "), sum));
}

// Rules keeps how often each text was broadcast: "-x" forgets x, "clear" all of them. It says of other texts how often that was, and
// for "all" of each that there is.
enum { RULES };

static int64_t known(wasmill_context *c, wasmill_bytes text) {
	wasmill_bytes n = wasmill_map_get(c, RULES, text);
	return n.data == NULL ? 0 : wasmill_as_i64(n);
}

static void apply(wasmill_context *c, const wasmill_record *r) {
	wasmill_scan all = wasmill_scan_state(c, RULES);
	if (!is(r->value, "all")) emit(c->out, JOIN(r->value, TEXT("="), digits(known(c, r->value))));
	else while (wasmill_next(&all)) emit(c->out, JOIN(all.key, TEXT("="), digits(wasmill_as_i64(all.value))));
}

static void hear(wasmill_context *c, const wasmill_record *r) {
	if (is(r->value, "clear")) wasmill_clear(c, RULES);
	else if (r->value.data[0] == '-') wasmill_map_delete(c, RULES, (wasmill_bytes){r->value.data + 1, r->value.size - 1});
	else wasmill_map_put(c, RULES, r->value, wasmill_i64(known(c, r->value) + 1));
	emit(c->out, JOIN(TEXT("heard "), r->value));
}

// Roster holds texts back, those that begin with + in a list that all begin with. It puts them out when it begins, and for "list";
// "clear" removes those of the first list.
enum { HELD, KNOWN };

static void list(wasmill_context *c) {
	for (uint32_t state = HELD; state <= KNOWN; state++) {
		wasmill_scan all = wasmill_scan_state(c, state);
		while (wasmill_next(&all)) emit(c->out, all.value);
	}
}

static void enlist(wasmill_context *c, const wasmill_record *r) {
	if (is(r->value, "list")) list(c);
	else if (is(r->value, "clear")) wasmill_clear(c, HELD);
	else wasmill_list_add(c, r->value.data[0] == '+' ? KNOWN : HELD, r->value);
}

static void drop(wasmill_stream s) { wasmill_sink_to(s, wasmill_blackhole()); }

WASMILL_JOB("conformance-operators") {
	wasmill_stream texts = wasmill_source(job, wasmill_files("texts"));
	wasmill_keyed by_text = wasmill_key_by(texts, "by-text", own_key, WASMILL_UTF8);
	wasmill_keyed lengths = wasmill_key_value_by(texts, "by-text-length", key_and_length, WASMILL_UTF8, WASMILL_I64);

	wasmill_time_window second = wasmill_tumbling(1000);
	second.lateness_ms = 60000;
	wasmill_stream reports = wasmill_uid(wasmill_process_window(wasmill_window(lengths, second), "report", (wasmill_processor){
		.window = report, .codec = WASMILL_UTF8, .sides = {WASMILL_I64},
		.states = {[ALL] = {.name = "all", .codec = WASMILL_I64}, [RESULTS] = {.name = "results", .codec = WASMILL_I64, .of_window = true}},
	}), "report");
	drop(reports);
	drop(wasmill_side(reports, 1));
	drop(wasmill_uid(wasmill_aggregate_window_with(wasmill_window(lengths, wasmill_sliding(1000, 500)), "totals",
		(wasmill_aggregator){zero, plus, plus, same, WASMILL_I64, WASMILL_I64}, (wasmill_processor){.folded = total, .codec = WASMILL_UTF8}), "totals"));
	drop(wasmill_uid(wasmill_count(wasmill_trigger_by(wasmill_window(lengths, wasmill_session(1000)), "enough", (wasmill_trigger_function){
		.record = enough, .timer = ring, .merged = merged, .states = {[SUM] = {.name = "sum", .codec = WASMILL_I64}},
	})), "enough"));
	wasmill_keyed threes = wasmill_window(lengths, wasmill_global_window((wasmill_trigger){.kind = WASMILL_AT_COUNT, .count = 3, .purging = true}));
	drop(wasmill_uid(wasmill_process_window(wasmill_evict_by(threes, "odd", false, odd), "kept", (wasmill_processor){.window = kept, .codec = WASMILL_I64}), "kept"));
	drop(wasmill_uid(wasmill_count(wasmill_session_by(lengths, "pause", pause_of)), "pauses"));

	drop(wasmill_uid(wasmill_count(wasmill_trigger_by(wasmill_window(lengths, wasmill_session(1000)), "plenty", (wasmill_trigger_function){
		.record = plenty, .states = {[MOST] = {.name = "most", .codec = WASMILL_I64, .reduce = larger}},
	})), "plenty"));

	drop(wasmill_uid(wasmill_co_group_to(by_text, lengths, wasmill_tumbling(1000), "together", together, WASMILL_UTF8), "together"));
	drop(wasmill_uid(wasmill_window_join_to(by_text, lengths, wasmill_tumbling(1000), WASMILL_LEFT_OUTER, "met", met, WASMILL_UTF8), "met"));
	drop(wasmill_uid(wasmill_async_wait(texts, "ask", (wasmill_async){
		.request = ask, .response = answered, .failures = true, .codec = WASMILL_UTF8, .hosts = {"host.test:80"}, .ordered = true, .capacity = 8,
		.timeout_ms = 5000, .retries = 2, .delay_ms = 50, .retry_on = {"broken", "5xx"},
	}), "ask"));
	drop(wasmill_uid(wasmill_process(lengths, "recent", (wasmill_processor){
		.process = recent, .codec = WASMILL_I64, .states = {[COUNT] = {.name = "count", .codec = WASMILL_I64, .ttl_ms = 1000, .event_time = true}},
	}), "recent"));
	drop(wasmill_uid(wasmill_process(lengths, "tally", (wasmill_processor){
		.process = tally, .codec = WASMILL_UTF8,
		.states = {[MOST] = {.name = "most", .codec = WASMILL_I64, .reduce = larger}, [TOTAL] = {.name = "sum", .codec = WASMILL_I64, .aggregator = &from_hundred}},
	}), "tally"));
	drop(wasmill_uid(wasmill_broadcast_process(by_text, texts, "rules", (wasmill_processor){
		.process = apply, .process_other = hear, .codec = WASMILL_UTF8,
		.states = {[RULES] = {.name = "known", .kind = WASMILL_BROADCAST_STATE, .codec = WASMILL_I64, .key_codec = WASMILL_UTF8}},
	}), "rules"));
	drop(wasmill_uid(wasmill_process_stream(texts, "roster", (wasmill_processor){
		.process = enlist, .begin = list, .codec = WASMILL_UTF8,
		.states = {[HELD] = {.name = "held", .kind = WASMILL_OPERATOR_LIST, .codec = WASMILL_UTF8}, [KNOWN] = {.name = "known", .kind = WASMILL_UNION_LIST, .codec = WASMILL_UTF8}},
	}), "roster"));
}
