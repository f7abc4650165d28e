// Recent counts the lines of each key in a state that lives by event time: a second after the last one the count begins anew.
//
//	in   time,key    time: milliseconds of event time
//	out  time,key,n  n: which one it is
#include "work.h"

enum { COUNT };

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 0); }

static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 1); }

static void count(wasmill_context *c, const wasmill_record *r) {
	wasmill_bytes before = wasmill_get(c, COUNT);
	int64_t n = 1 + (before.data == NULL ? 0 : wasmill_as_i64(before));
	wasmill_put(c, COUNT, wasmill_i64(n));
	work_line l = work_begin(r->value.size + 24);
	work_text(&l, r->value);
	work_char(&l, ',');
	work_number(&l, n);
	wasmill_bytes line = work_end(l);
	wasmill_emit(c->out, line.data, line.size);
}

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_number(&l, r->timestamp);
	work_text(&l, wasmill_string(",key"));
	return work_end(l);
}

WASMILL_JOB("recent") {
	wasmill_stream timed = wasmill_assign_timestamps(work_source(job, "input", "make", make), "time", time_of, 0);
	wasmill_stream counted = wasmill_process(wasmill_key_by(timed, "key", key_of, WASMILL_UTF8), "recent", (wasmill_processor){
		.process = count, .codec = WASMILL_UTF8,
		.states = {[COUNT] = {.name = "count", .codec = WASMILL_I64, .ttl_ms = 1000, .event_time = true}},
	});
	work_sink(wasmill_uid(counted, "recent"), "");
}
