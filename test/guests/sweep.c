// Sweep adds up numbers by key, and sweeps out all sums whenever a line is broadcast.
//
//	in input    key,number
//	in sweeps   any text
//	keep        how the numbers of a key are kept until then: sum, list, or map (how often there was each)
//	out         key,sum: what a key had when it was swept, or had left at the end
#include "work.h"

enum { KEPT, SWEEPS };

static wasmill_state_kind keeps;

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static void add(wasmill_context *c, const wasmill_record *r) {
	wasmill_bytes number = work_field(r->value, 1);
	if (keeps == WASMILL_LIST_STATE) {
		wasmill_list_add(c, KEPT, wasmill_i64(work_int(r->value, 1)));
	} else if (keeps == WASMILL_MAP_STATE) {
		wasmill_bytes seen = wasmill_map_get(c, KEPT, number);
		wasmill_map_put(c, KEPT, number, wasmill_i64(1 + (seen.data == NULL ? 0 : wasmill_as_i64(seen))));
	} else {
		wasmill_put_i64(c, KEPT, wasmill_get_i64(c, KEPT, 0) + work_int(r->value, 1));
	}
	wasmill_set_timer(c, WASMILL_EVENT_TIME, INT64_MAX - 1);
}

// put_out puts out what the key has, if it has something.
static void put_out(wasmill_context *c) {
	int64_t sum = 0;
	if (keeps == WASMILL_VALUE_STATE) {
		sum = wasmill_get_i64(c, KEPT, 0);
	} else {
		for (wasmill_scan s = wasmill_scan_state(c, KEPT); wasmill_next(&s);) {
			sum += wasmill_as_i64(s.value) * (s.key.size > 0 ? work_int(s.key, 0) : 1);
		}
	}
	if (sum == 0) return; // every number is above it
	work_line l = work_begin(c->key.size + 24);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, sum);
	wasmill_bytes made = work_end(l);
	wasmill_emit(c->out, made.data, made.size);
	wasmill_clear(c, KEPT);
}

static void broadcast(wasmill_context *c, const wasmill_record *r) {
	wasmill_map_put(c, SWEEPS, r->value, r->value);
	wasmill_apply_to_keys(c, KEPT);
}

static void apply(wasmill_context *c, const wasmill_record *r) {
	if (wasmill_map_get(c, SWEEPS, r->value).data == NULL) wasmill_fail("a line is applied that was not broadcast");
	put_out(c);
}

static void timer(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)clock, (void)time;
	put_out(c);
}

WASMILL_JOB("sweep") {
	const char *keep = wasmill_param_or(job, "keep", "sum", "how numbers are kept: sum, list or map");
	keeps = wasmill_same(keep, "list") ? WASMILL_LIST_STATE : wasmill_same(keep, "map") ? WASMILL_MAP_STATE : WASMILL_VALUE_STATE;
	if (keeps == WASMILL_VALUE_STATE && !wasmill_same(keep, "sum")) wasmill_refuse_param(job, "keep", keep, "sum, list or map");
	wasmill_keyed lines = wasmill_key_by(work_source(job, "input", "make", no_line), "key", key_of, WASMILL_UTF8);
	wasmill_stream sweeps = work_source(job, "sweeps", "make sweeps", no_line);
	wasmill_stream out = wasmill_broadcast_process(lines, sweeps, "sweep", (wasmill_processor){
		.process = add, .process_other = broadcast, .apply = apply, .timer = timer, .codec = WASMILL_UTF8, .states = {
			[KEPT] = {.name = "sum", .kind = keeps, .codec = WASMILL_I64, .key_codec = keeps == WASMILL_MAP_STATE ? WASMILL_UTF8 : NULL},
			[SWEEPS] = {.name = "sweeps", .kind = WASMILL_BROADCAST_STATE, .codec = WASMILL_UTF8, .key_codec = WASMILL_UTF8},
		},
	});
	work_sink(wasmill_uid(out, "sweep"), "");
}
