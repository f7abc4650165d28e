// Roster holds lines back in lists of the operator, on streams without key, until the end is called.
//
//	in input   number         each once
//	in calls   wait ... end   broadcast; nothing is held behind the end
//	out        number
//
// Odd numbers are held in a list that is dealt out evenly, even ones in a union of which each subtask takes its part when it
// begins. A list is let go whenever it has `most` lines. The end is a union, too: a subtask that did not know of it would hold
// lines for ever. So a checker must find each number once.
#include "work.h"

enum { HELD, SHARED, ENDED };

static int64_t most, lines;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(24);
	work_number(&l, r->timestamp);
	return work_end(l);
}

static wasmill_bytes call(const wasmill_record *r) { return wasmill_string(r->timestamp == lines - 1 ? "end" : "wait"); }

static int64_t count(wasmill_context *c, uint32_t state) {
	int64_t n = 0;
	for (wasmill_scan s = wasmill_scan_state(c, state); wasmill_next(&s);) n++;
	return n;
}

static void let_go(wasmill_context *c, uint32_t state) {
	for (wasmill_scan s = wasmill_scan_state(c, state); wasmill_next(&s);) wasmill_emit(c->out, s.value.data, s.value.size);
	wasmill_clear(c, state);
}

// begin keeps those of the shared lines that are this subtask's, and one end of all that were called.
static void begin(wasmill_context *c) {
	bool ended = count(c, ENDED) > 0;
	wasmill_bytes mine[1024];
	uint32_t n = 0;
	for (wasmill_scan s = wasmill_scan_state(c, SHARED); wasmill_next(&s);) {
		if (work_int(s.value, 0) / 2 % c->parallelism != c->subtask) continue;
		if (n == 1024) wasmill_fail("more than 1024 lines are held");
		work_line l = work_begin(s.value.size);
		work_text(&l, s.value);
		mine[n++] = work_end(l);
	}
	wasmill_clear(c, SHARED);
	for (uint32_t i = 0; i < n; i++) wasmill_list_add(c, SHARED, mine[i]);
	wasmill_clear(c, ENDED);
	if (ended) wasmill_list_add(c, ENDED, wasmill_string("end"));
}

static void hold(wasmill_context *c, const wasmill_record *r) {
	uint32_t list = work_int(r->value, 0) % 2 != 0 ? HELD : SHARED;
	wasmill_list_add(c, list, r->value);
	if (count(c, ENDED) > 0 || count(c, list) >= most) let_go(c, list);
}

static void hear(wasmill_context *c, const wasmill_record *r) {
	if (r->value.size == 0 || r->value.data[0] != 'e') return;
	wasmill_list_add(c, ENDED, r->value);
	let_go(c, HELD);
	let_go(c, SHARED);
}

WASMILL_JOB("roster") {
	most = wasmill_param_i64_or(job, "most", 8, "lines that a list holds back");
	wasmill_stream numbers = wasmill_rebalance(work_source(job, "input", "make", make));
	wasmill_stream calls = wasmill_broadcast(work_source(job, "calls", "call", call));
	lines = wasmill_param_i64_or(job, "count", 100000, "lines that are made in all; 0: without end");
	wasmill_stream out = wasmill_co_process_streams(numbers, calls, "roster", (wasmill_processor){
		.process = hold, .process_other = hear, .begin = begin, .codec = WASMILL_UTF8,
		.states = {
			[HELD] = {.name = "held", .kind = WASMILL_OPERATOR_LIST, .codec = WASMILL_UTF8},
			[SHARED] = {.name = "shared", .kind = WASMILL_UNION_LIST, .codec = WASMILL_UTF8},
			[ENDED] = {.name = "ended", .kind = WASMILL_UNION_LIST, .codec = WASMILL_UTF8},
		},
	});
	work_sink(wasmill_uid(out, "roster"), "");
}
