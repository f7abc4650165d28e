// Poison cannot take every `every`-th line, in one of four ways, and says what shall become of such a line.
//
//	in          key,n                  any text, a whole number
//	out good    key,n                  with on=map: the lines that were taken
//	            key,n,count            with on=process: and how many of the key were taken up to it, kept in a value state
//	out letters unit, key, cause ...   with ontrap=deadLetter: a row for each line that was not taken
//
// A line is poison if n is a multiple of `every`. With ontrap=skip or deadLetter a checker must find: all other lines in
// good, once; no poison there; count is 1, 2, 3 ... for each key, without gaps: what a call did that failed is undone. With
// ontrap=fail the job fails at the first poison, and at every restart again.
#include "work.h"

static int64_t every, keys;
static enum { TRAP, FAIL, LOOP, GARBAGE } way;
static volatile uint32_t turns;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_number(&l, r->timestamp % keys);
	work_char(&l, ',');
	work_number(&l, r->timestamp + 1);
	return work_end(l);
}

__attribute__((noinline)) static void swallow(wasmill_bytes line) {
	if (work_int(line, 1) % every != 0) return;
	if (way == TRAP) __builtin_trap();
	if (way == FAIL) wasmill_fail("this line is poison");
	while (way == LOOP) turns++;
	static const uint32_t batch[] = {1, WASMILL__VALUES, 1, 48, 0, 8, 0, 0, /* offsets, out of it */ 0, 4096, /* values */ 7, 7};
	if (way == GARBAGE) wasmill_host_emit(0, batch, sizeof batch);
}

static wasmill_bytes take(const wasmill_record *r) {
	swallow(r->value);
	return r->value;
}

static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

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
	swallow(r->value);
}

WASMILL_JOB("poison") {
	every = wasmill_param_i64_or(job, "every", 1000, "every so many of the lines is poison");
	keys = wasmill_param_i64_or(job, "keys", 10, "keys of the lines that are made");
	const char *by = wasmill_param_or(job, "way", "trap", "what poison does: trap, fail, loop or emit garbage");
	const char *on = wasmill_param_or(job, "on", "map", "what takes it: map or process");
	const char *ontrap = wasmill_param_or(job, "ontrap", "fail", "what becomes of it: fail, skip or deadLetter");
	way = wasmill_same(by, "fail") ? FAIL : wasmill_same(by, "loop") ? LOOP : wasmill_same(by, "garbage") ? GARBAGE : TRAP;
	if (way == TRAP && !wasmill_same(by, "trap")) wasmill_refuse_param(job, "way", by, "trap, fail, loop or garbage");
	if (every < 1 || keys < 1) wasmill_refuse(job, "every or keys: fewer than 1");
	bool letters = wasmill_same(ontrap, "deadLetter"), skip = wasmill_same(ontrap, "skip");
	if (!letters && !skip && !wasmill_same(ontrap, "fail")) wasmill_refuse_param(job, "ontrap", ontrap, "fail, skip or deadLetter");
	wasmill_stream s = work_source(job, "input", "make", make);
	if (wasmill_same(on, "process")) {
		s = wasmill_process(wasmill_key_by(s, "key", key_of, WASMILL_UTF8), "take-keyed", (wasmill_processor){
			.process = take_keyed, .codec = WASMILL_UTF8, .states = {
				[COUNT] = {.name = "count", .codec = WASMILL_I64},
				[TAKEN] = {.name = "taken", .kind = WASMILL_MAP_STATE, .codec = WASMILL_I64, .key_codec = WASMILL_UTF8}}});
		s = wasmill_uid(s, "take-keyed");
	} else {
		if (!wasmill_same(on, "map")) wasmill_refuse_param(job, "on", on, "map or process");
		s = wasmill_map(s, "take", take, WASMILL_UTF8);
	}
	s = wasmill_on_trap(s, letters ? WASMILL_DEAD_LETTER : skip ? WASMILL_SKIP : WASMILL_FAIL);
	work_sink(s, "good");
	if (letters) work_sink(wasmill_dead_letters(s), "letters");
}
