// Poison cannot take every `every`-th line, in one of several ways, and says what shall become of such a line.
//
//	in          key,n                  any text, a whole number, which is the event time in milliseconds
//	out good    key,n                  with on=map: the lines that were taken; with on=timer: when a timer for n was due
//	                                   with on=key: the same, from behind a key
//	            key,n,count            with on=process: and how many of the key were taken up to it, kept in a value state
//	            start,key,sum          with on=result: the sum of n of a key in the 10 ms from start; a sum that is a
//	                                   multiple of `every` is poison, not a line
//	out letters unit, key, cause ...   with ontrap=deadLetter: a row for each line, timer or result that was not taken
//
// A line is poison if n is a multiple of `every`. With ontrap=skip or deadLetter a checker must find: all other lines in
// good, once; no poison there; count is 1, 2, 3 ... for each key, without gaps: what a call did that failed is undone. With
// ontrap=fail the job fails at the first poison, and at every restart again; whatever ontrap says, it does so with way=loop or
// memory: that is no line's fault.
#include "work.h"

#define HUGE ((17u << 20) + 1) // bytes: more than a record may have

static int64_t every, keys;
static enum { TRAP, FAIL, LOOP, MEMORY, GARBAGE, LARGE } way;
static const char *const ways[] = {"trap", "fail", "loop", "memory", "garbage", "large"};
static volatile uint32_t turns;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_number(&l, r->timestamp % keys);
	work_char(&l, ',');
	work_number(&l, r->timestamp + 1);
	return work_end(l);
}

static void leak(void) {
	for (;;) {
		size_t page = __builtin_wasm_memory_grow(0, 16);
		if (page == (size_t)-1) __builtin_trap();
		for (uint32_t i = 0; i < 16; i++) *(volatile uint8_t *)((page + i) << 16) = 1;
	}
}

__attribute__((noinline)) static void swallow(int64_t n) {
	static const uint32_t nonsense[] = {1, WASMILL__VALUES, 1, 48, 0, 8, 0, 0, /* offsets */ 0, 4096, /* values */ 7, 7};
	if (n % every != 0) return;
	if (way == TRAP) __builtin_trap();
	if (way == FAIL) wasmill_fail("this line is poison");
	if (way == MEMORY) leak();
	if (way == GARBAGE) wasmill_host_emit(0, nonsense, sizeof nonsense);
	while (way == LOOP) turns++;
}

static wasmill_bytes take(const wasmill_record *r) {
	swallow(work_int(r->value, 1));
	if (way == LARGE && work_int(r->value, 1) % every == 0) return (wasmill_bytes){wasmill_scratch(HUGE), HUGE};
	return r->value;
}

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }

static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static wasmill_bytes swallowed_key(const wasmill_record *r) {
	swallow(work_int(r->value, 1));
	return key_of(r);
}

static void pass(wasmill_context *c, const wasmill_record *r) { wasmill_emit(c->out, r->value.data, r->value.size); }

enum { COUNT, TAKEN };

// The states are changed and the line emitted before the poison works. One is changed by the reply, the other at once:
// when they differ, count is 0.
static void take_keyed(wasmill_context *c, const wasmill_record *r) {
	int64_t count = wasmill_get_i64(c, COUNT, 0) + 1;
	wasmill_bytes all = wasmill_string("all"), before = wasmill_map_get(c, TAKEN, all);
	int64_t taken = (before.size ? wasmill_as_i64(before) : 0) + 1;
	wasmill_put_i64(c, COUNT, count);
	wasmill_map_put(c, TAKEN, all, wasmill_i64(taken));
	work_line l = work_begin(r->value.size + 24);
	work_text(&l, r->value);
	work_char(&l, ',');
	work_number(&l, count == taken ? count : 0);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
	swallow(work_int(r->value, 1));
}

static void wait(wasmill_context *c, const wasmill_record *r) { wasmill_set_timer(c, WASMILL_EVENT_TIME, work_int(r->value, 1)); }

static void take_due(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)clock;
	work_line l = work_begin(c->key.size + 24);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, time);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
	swallow(time);
}

static wasmill_bytes nothing(void) { return wasmill_i64(0); }
static wasmill_bytes include(wasmill_bytes sum, wasmill_bytes line) { return wasmill_i64(wasmill_as_i64(sum) + work_int(line, 1)); }
static wasmill_bytes both(wasmill_bytes a, wasmill_bytes b) { return wasmill_i64(wasmill_as_i64(a) + wasmill_as_i64(b)); }
static wasmill_bytes take_result(wasmill_bytes sum) {
	swallow(wasmill_as_i64(sum));
	return sum;
}

WASMILL_JOB("poison") {
	every = wasmill_param_i64_or(job, "every", 1000, "every so many of the lines is poison");
	keys = wasmill_param_i64_or(job, "keys", 10, "keys of the lines that are made");
	const char *by = wasmill_param_or(job, "way", "trap", "what poison does: trap, fail, loop, memory, garbage or (with on=map) large");
	const char *on = wasmill_param_or(job, "on", "map", "what takes it: map, key, process, timer or result");
	const char *ontrap = wasmill_param_or(job, "ontrap", "fail", "what becomes of it: fail, skip or deadLetter");
	while (way < LARGE && !wasmill_same(by, ways[way])) way++;
	if (!wasmill_same(by, ways[way])) wasmill_refuse_param(job, "way", by, "trap, fail, loop, memory, garbage or large");
	if (every < 1 || keys < 1) wasmill_refuse(job, "every or keys: fewer than 1");
	bool letters = wasmill_same(ontrap, "deadLetter"), skip = wasmill_same(ontrap, "skip");
	if (!letters && !skip && !wasmill_same(ontrap, "fail")) wasmill_refuse_param(job, "ontrap", ontrap, "fail, skip or deadLetter");
	wasmill_stream s = work_source(job, "input", "make", make);
	wasmill_keyed keyed = {0};
	const char *columns = "";
	if (wasmill_same(on, "map")) {
		s = wasmill_map(s, "take", take, WASMILL_UTF8);
	} else if (wasmill_same(on, "key")) {
		keyed = wasmill_key_by(s, "key", swallowed_key, WASMILL_UTF8);
		s = wasmill_uid(wasmill_process(keyed, "pass", (wasmill_processor){.process = pass, .codec = WASMILL_UTF8}), "pass");
	} else if (wasmill_same(on, "process")) {
		s = wasmill_process(wasmill_key_by(s, "key", key_of, WASMILL_UTF8), "take-keyed", (wasmill_processor){
			.process = take_keyed, .codec = WASMILL_UTF8, .states = {
				[COUNT] = {.name = "count", .codec = WASMILL_I64},
				[TAKEN] = {.name = "taken", .kind = WASMILL_MAP_STATE, .codec = WASMILL_I64, .key_codec = WASMILL_UTF8}}});
		s = wasmill_uid(s, "take-keyed");
	} else {
		bool timer = wasmill_same(on, "timer");
		if (!timer && !wasmill_same(on, "result")) wasmill_refuse_param(job, "on", on, "map, key, process, timer or result");
		keyed = wasmill_key_by(wasmill_assign_timestamps(s, "time", time_of, 0), "key", key_of, WASMILL_UTF8);
		wasmill_aggregator sum = {nothing, include, both, take_result, WASMILL_I64, WASMILL_I64};
		s = timer ? wasmill_process(keyed, "take-due", (wasmill_processor){.process = wait, .timer = take_due, .codec = WASMILL_UTF8})
			: wasmill_aggregate(wasmill_window(keyed, wasmill_tumbling(10)), "take-result", sum);
		s = wasmill_uid(s, timer ? "take-due" : "take-result");
		if (!timer) columns = "start,key,value";
	}
	wasmill_trap_policy policy = letters ? WASMILL_DEAD_LETTER : skip ? WASMILL_SKIP : WASMILL_FAIL;
	bool key = wasmill_same(on, "key");
	if (key) wasmill_key_on_trap(keyed, policy);
	else wasmill_on_trap(s, policy);
	const char *output = wasmill_param(job, "output", "directory to write");
	wasmill_sink_to(s, wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/good")), "columns", columns));
	if (letters) work_sink(key ? wasmill_key_dead_letters(keyed) : wasmill_dead_letters(s), "letters");
}
