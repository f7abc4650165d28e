// Enrich joins facts with what was known of their key at their time: two inputs, state and timers.
//
//	in left        key,time,id          facts, each (key, id) once; time: milliseconds >= 0
//	in right       key,time,value       what is known of the key from time on, each (key, time) once
//	out joined     key,time,id,value    the fact with its value
//	out unmatched  key,time,id          a fact that found none
//
// A fact at t has the value of the latest update of its key at or before t; without one, that of the earliest update at or
// before t + `patience`; without one, it is unmatched. This depends on event times alone as long as no line is more than
// `disorder` behind those before it of its input, so a checker computes it from the lines: each fact is found once, in
// joined or in unmatched, with that value.
#include "work.h"

static int64_t keys, disorder, patience;

static int64_t disordered(int64_t n) {
	int64_t time = n - (int64_t)(work_mix((uint64_t)n) % (uint64_t)(disorder + 1));
	return time < 0 ? 0 : time;
}

static wasmill_bytes line_of(int64_t key, int64_t time, int64_t last) {
	work_line l = work_begin(72);
	work_number(&l, key);
	work_char(&l, ',');
	work_number(&l, time);
	work_char(&l, ',');
	work_number(&l, last);
	return work_end(l);
}

static wasmill_bytes make_fact(const wasmill_record *r) {
	int64_t n = r->timestamp;
	return line_of((int64_t)(work_mix((uint64_t)~n) % (uint64_t)keys), disordered(n), n);
}

// The times of updates are their numbers, so that they are distinct; only half of the keys are ever updated.
static wasmill_bytes make_update(const wasmill_record *r) {
	int64_t n = r->timestamp;
	return line_of((int64_t)(work_mix((uint64_t)~n) % (uint64_t)((keys + 1) / 2)), n, (int64_t)(work_mix((uint64_t)n) % 1000));
}

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

enum { UPDATES, FACTS }; // updates: their time -> value; facts: when they are to be looked at, then their line -> their time

// sortable writes a time so that the order of its bytes is that of times.
static wasmill_bytes sortable(int64_t time, wasmill_bytes behind) {
	uint8_t *p = wasmill_scratch(8 + behind.size);
	for (uint32_t i = 0; i < 8; i++) p[i] = (uint8_t)((uint64_t)time >> (56 - 8 * i));
	for (uint32_t i = 0; i < behind.size; i++) p[8 + i] = behind.data[i];
	return (wasmill_bytes){p, 8 + behind.size};
}

static int64_t time_in(wasmill_bytes key) {
	uint64_t time = 0;
	for (uint32_t i = 0; i < 8; i++) time = time << 8 | key.data[i];
	return (int64_t)time;
}

// look_at sets down that a fact is to be looked at when event time has come to when.
static void look_at(wasmill_context *c, wasmill_bytes line, int64_t when) {
	wasmill_map_put(c, FACTS, sortable(when, line), wasmill_i64(work_int(line, 1)));
	wasmill_set_timer(c, WASMILL_EVENT_TIME, when);
}

static void take_fact(wasmill_context *c, const wasmill_record *r) { look_at(c, r->value, work_int(r->value, 1)); }

static void take_update(wasmill_context *c, const wasmill_record *r) {
	wasmill_map_put(c, UPDATES, sortable(work_int(r->value, 1), (wasmill_bytes){0}), work_field(r->value, 2));
}

static wasmill_bytes copied(wasmill_bytes b) {
	work_line l = work_begin(b.size + 1);
	work_text(&l, b);
	return work_end(l);
}

// value_for returns the value of a fact at time when all updates up to now are there; its data is NULL when there is none.
static wasmill_bytes value_for(wasmill_context *c, int64_t time, int64_t now) {
	wasmill_bytes found = {NULL, 0};
	wasmill_scan s = wasmill_scan_state(c, UPDATES);
	while (wasmill_next(&s) && time_in(s.key) <= now) {
		if (time_in(s.key) > time && found.data != NULL) break;
		found = copied(s.value);
	}
	return found;
}

// forget removes updates that no fact can have any more: those before the last one at or before now - patience. What one
// call leaves, another one finds.
static void forget(wasmill_context *c, int64_t now) {
	wasmill_bytes old[64];
	uint32_t n = 0;
	wasmill_scan s = wasmill_scan_state(c, UPDATES);
	while (n < 64 && wasmill_next(&s) && time_in(s.key) <= now - patience) old[n++] = copied(s.key);
	for (uint32_t i = 0; i + 1 < n; i++) wasmill_map_delete(c, UPDATES, old[i]);
}

static void look(wasmill_context *c, wasmill_clock clock, int64_t now) {
	(void)clock;
	wasmill_bytes due[64], value;
	uint32_t n;
	do {
		n = 0;
		wasmill_scan s = wasmill_scan_state(c, FACTS);
		while (n < 64 && wasmill_next(&s) && time_in(s.key) <= now) due[n++] = copied(s.key);
		for (uint32_t i = 0; i < n; i++) {
			wasmill_bytes line = {due[i].data + 8, due[i].size - 8};
			int64_t time = work_int(line, 1);
			wasmill_map_delete(c, FACTS, due[i]);
			value = value_for(c, time, now);
			if (value.data != NULL) {
				work_line l = work_begin(line.size + value.size + 1);
				work_text(&l, line);
				work_char(&l, ',');
				work_text(&l, value);
				wasmill_bytes joined = work_end(l);
				wasmill_emit(c->out, joined.data, joined.size);
			} else if (now < time + patience) {
				look_at(c, line, time + patience);
			} else {
				wasmill_emit_side(c->out, 1, line.data, line.size);
			}
		}
	} while (n == 64);
	forget(c, now);
}

WASMILL_JOB("enrich") {
	keys = wasmill_param_i64_or(job, "keys", 100, "keys of the lines that are made");
	disorder = wasmill_param_i64_or(job, "disorder", 100, "how far a line may be behind, in milliseconds");
	patience = wasmill_param_i64_or(job, "patience", 500, "how long a fact waits for an update, in milliseconds");
	if (keys < 1 || disorder < 0 || patience < 0) wasmill_refuse(job, "keys: fewer than 1, or disorder or patience: negative");
	wasmill_stream facts = wasmill_assign_timestamps(work_source(job, "left", "make-facts", make_fact), "fact-time", time_of, disorder);
	wasmill_stream updates = wasmill_assign_timestamps(work_source(job, "right", "make-updates", make_update), "update-time", time_of, disorder);
	wasmill_stream joined = wasmill_co_process(wasmill_key_by(facts, "fact-key", key_of, WASMILL_UTF8), wasmill_key_by(updates, "update-key", key_of, WASMILL_UTF8), "enrich",
		(wasmill_processor){.process = take_fact, .process_other = take_update, .timer = look, .codec = WASMILL_UTF8, .sides = {WASMILL_UTF8}, .states = {
			[UPDATES] = {.name = "updates", .kind = WASMILL_MAP_STATE, .codec = WASMILL_UTF8, .key_codec = WASMILL_BYTES},
			[FACTS] = {.name = "facts", .kind = WASMILL_MAP_STATE, .codec = WASMILL_I64, .key_codec = WASMILL_BYTES},
		}});
	joined = wasmill_uid(joined, "enrich");
	work_sink(joined, "joined");
	work_sink(wasmill_side(joined, 1), "unmatched");
}
