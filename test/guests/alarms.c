// Alarms sets two timers for each line, one of each clock, and says when they fire.
//
//	in   key,delay    delay: milliseconds of processing time
//	out  key,event    at the end of event time
//	     key,alarm    delay later
//
// A checker must find each once, unless its time has not come.
#include "work.h"

static void set(wasmill_context *c, const wasmill_record *r) {
	wasmill_set_timer(c, WASMILL_EVENT_TIME, INT64_C(1) << 50);
	wasmill_set_timer(c, WASMILL_PROCESSING_TIME, c->now + work_int(r->value, 1));
}

static void tell(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)time;
	work_line l = work_begin(c->key.size + 8);
	work_text(&l, c->key);
	work_text(&l, clock == WASMILL_EVENT_TIME ? wasmill_string(",event") : wasmill_string(",alarm"));
	wasmill_bytes line = work_end(l);
	wasmill_emit(c->out, line.data, line.size);
}

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(32);
	work_number(&l, r->timestamp);
	work_text(&l, wasmill_string(",1000"));
	return work_end(l);
}

static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

WASMILL_JOB("alarms") {
	wasmill_keyed keyed = wasmill_key_by(work_source(job, "input", "make", make), "key", key_of, WASMILL_UTF8);
	wasmill_stream told = wasmill_process(keyed, "alarm", (wasmill_processor){.process = set, .timer = tell, .codec = WASMILL_UTF8});
	work_sink(wasmill_uid(told, "alarms"), "");
}
