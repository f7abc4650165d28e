// Sweep adds up numbers by key, and sweeps out all sums whenever a line is broadcast.
//
//	in input    key,number
//	in sweeps   any text
//	out         key,sum: what a key had when it was swept, or had left at the end
#include "work.h"

enum { SUM, SWEEPS };

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static void add(wasmill_context *c, const wasmill_record *r) {
	wasmill_put_i64(c, SUM, wasmill_get_i64(c, SUM, 0) + work_int(r->value, 1));
	wasmill_set_timer(c, WASMILL_EVENT_TIME, INT64_MAX - 1);
}

static void put_out(wasmill_context *c) {
	work_line l = work_begin(c->key.size + 24);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, wasmill_get_i64(c, SUM, 0));
	wasmill_bytes made = work_end(l);
	wasmill_emit(c->out, made.data, made.size);
	wasmill_clear(c, SUM);
}

static void broadcast(wasmill_context *c, const wasmill_record *r) {
	wasmill_map_put(c, SWEEPS, r->value, r->value);
	wasmill_apply_to_keys(c, SUM);
}

static void apply(wasmill_context *c, const wasmill_record *r) {
	if (wasmill_map_get(c, SWEEPS, r->value).data == NULL) wasmill_fail("a line is applied that was not broadcast");
	put_out(c);
}

static void timer(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)clock, (void)time;
	if (wasmill_get(c, SUM).data != NULL) put_out(c);
}

WASMILL_JOB("sweep") {
	wasmill_keyed lines = wasmill_key_by(work_source(job, "input", "make", no_line), "key", key_of, WASMILL_UTF8);
	wasmill_stream sweeps = work_source(job, "sweeps", "make sweeps", no_line);
	wasmill_stream out = wasmill_broadcast_process(lines, sweeps, "sweep", (wasmill_processor){
		.process = add, .process_other = broadcast, .apply = apply, .timer = timer, .codec = WASMILL_UTF8, .states = {
			[SUM] = {.name = "sum", .codec = WASMILL_I64},
			[SWEEPS] = {.name = "sweeps", .kind = WASMILL_BROADCAST_STATE, .codec = WASMILL_UTF8, .key_codec = WASMILL_UTF8},
		},
	});
	work_sink(wasmill_uid(out, "sweep"), "");
}
