// Braid brings each line by three ways to the count of its key: as it is, dealt out to all subtasks, and through a function
// that has two subtasks whatever the job has.
//
//	in   key,text        any text
//	out  key,text,count  how many there were of the key up to it
//
// A checker must find each line three times, and every count of every key from 1 on, once. Between the ways there is no order.
#include "work.h"

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_char(&l, 'k');
	work_number(&l, r->timestamp % 10);
	work_char(&l, ',');
	work_number(&l, r->timestamp);
	return work_end(l);
}

static wasmill_bytes pass(const wasmill_record *r) { return r->value; }

static wasmill_bytes by_key(const wasmill_record *r) { return work_field(r->value, 0); }

enum { COUNT };

static void count(wasmill_context *c, const wasmill_record *r) {
	wasmill_bytes old = wasmill_get(c, COUNT);
	int64_t n = 1 + (old.data == NULL ? 0 : wasmill_as_i64(old));
	wasmill_put(c, COUNT, wasmill_i64(n));
	work_line l = work_begin(r->value.size + 24);
	work_text(&l, r->value);
	work_char(&l, ',');
	work_number(&l, n);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

WASMILL_JOB("braid") {
	wasmill_stream lines = work_source(job, "input", "make", make);
	wasmill_stream ways[] = {
		lines,
		wasmill_map(wasmill_rebalance(lines), "dealt", pass, WASMILL_UTF8),
		wasmill_parallelism(wasmill_map(lines, "two", pass, WASMILL_UTF8), 2),
	};
	wasmill_keyed keyed = wasmill_key_by(wasmill_union(ways, 3), "key", by_key, WASMILL_UTF8);
	wasmill_stream counted = wasmill_process(keyed, "count", (wasmill_processor){
		.process = count, .codec = WASMILL_UTF8, .states = {[COUNT] = {.name = "count", .codec = WASMILL_I64}}});
	work_sink(wasmill_uid(counted, "count"), "");
}
