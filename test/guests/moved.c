// Moved counts what it is given in states whose form changes from version to version: VERSION, 1 to 3, is that of the module.
// Keys that nobody names for long keep the form of an older one.
//
//	in   key,n
//	out  key,n,seq,total,listed,kinds     seq: records of the key; total: the sum of their n; listed: the sum of every third
//	                                      n that was put into a list; kinds: how many had the same n % 4
//
// A checker must find for each key: seq is 1, 2, 3 ... without gaps or repeats, and the others follow from the n before.
#include "work.h"

#ifndef VERSION
#define VERSION 1
#endif

static int64_t keys, phase, refuse;

// make names keys in five phases: all of them in the first and the last, in between fewer and fewer.
static wasmill_bytes make(const wasmill_record *r) {
	int64_t n = r->timestamp, at = n / phase;
	uint64_t key = work_mix((uint64_t)n) % (uint64_t)keys;
	if (at == 1 && key % 3 == 0) key++;
	if (at == 2 || at == 3) key = key / 3 * 3 + 2;
	work_line l = work_begin(48);
	work_char(&l, 'k');
	work_number(&l, (int64_t)key);
	work_char(&l, ',');
	work_number(&l, n);
	return work_end(l);
}

static wasmill_pair by_key(const wasmill_record *r) {
	return (wasmill_pair){work_field(r->value, 0), wasmill_i64(work_int(r->value, 1))};
}

// A number as a version writes it: 8 bytes, then text, then 8 bytes that are another number.
static int64_t read(uint32_t version, wasmill_bytes b) {
	if (version == 2) return work_int(b, 0);
	return wasmill_as_i64(b) - (version == 3 ? 1000 : 0);
}

static wasmill_bytes form(int64_t n) {
	if (VERSION != 2) return wasmill_i64(n + (VERSION == 3 ? 1000 : 0));
	work_line l = work_begin(24);
	work_number(&l, n);
	return work_end(l);
}

static wasmill_bytes migrate(uint32_t from, wasmill_bytes key, wasmill_bytes element) {
	(void)key;
	return form(read(from, element));
}

// migrate_listed refuses a number, as a function does that has forgotten what its state was once like.
static wasmill_bytes migrate_listed(uint32_t from, wasmill_bytes key, wasmill_bytes element) {
	if (refuse >= 0 && read(from, element) == refuse) wasmill_fail("a number that it was told to refuse");
	return migrate(from, key, element);
}

enum { SEQ, TOTAL, LISTED, KINDS };

static int64_t number(wasmill_bytes b) { return b.data == NULL ? 0 : read(VERSION, b); }

static void count(wasmill_context *c, const wasmill_record *r) {
	int64_t n = wasmill_as_i64(r->value), seq = number(wasmill_get(c, SEQ)) + 1, total = number(wasmill_get(c, TOTAL)) + n;
	wasmill_put(c, SEQ, form(seq));
	wasmill_put(c, TOTAL, form(total));
	if (n % 3 == 0) wasmill_list_add(c, LISTED, form(n));
	int64_t listed = 0;
	for (wasmill_scan all = wasmill_scan_state(c, LISTED); wasmill_next(&all);) listed += number(all.value);
	wasmill_bytes kind = wasmill_i64(n % 4);
	int64_t kinds = number(wasmill_map_get(c, KINDS, kind)) + 1;
	wasmill_map_put(c, KINDS, kind, form(kinds));
	work_line l = work_begin(c->key.size + 128);
	work_text(&l, c->key);
	int64_t numbers[] = {n, seq, total, listed, kinds};
	for (int i = 0; i < 5; i++) {
		work_char(&l, ',');
		work_number(&l, numbers[i]);
	}
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

#define STATE(NAME, MIGRATE, ...) {.name = NAME, .codec = VERSION == 2 ? WASMILL_UTF8 : WASMILL_I64, .version = VERSION, .migrate = VERSION == 1 ? NULL : MIGRATE, __VA_ARGS__}

WASMILL_JOB("moved") {
	keys = wasmill_param_i64_or(job, "keys", 300, "keys of the lines that are made");
	phase = wasmill_param_i64_or(job, "phase", 12000, "lines that are made in each phase");
	refuse = wasmill_param_i64_or(job, "refuse", -1, "a number in lists that is not migrated; -1: none");
	const char *trap = wasmill_param_or(job, "ontrap", "fail", "what becomes of a record that needs it: fail or skip");
	wasmill_stream counted = wasmill_process(wasmill_key_value_by(work_source(job, "input", "make", make), "by-key", by_key, WASMILL_UTF8, WASMILL_I64), "count",
		(wasmill_processor){.process = count, .codec = WASMILL_UTF8, .states = {
			[SEQ] = STATE("seq", migrate, .kind = WASMILL_VALUE_STATE),
			[TOTAL] = STATE("total", migrate, .kind = WASMILL_VALUE_STATE),
			[LISTED] = STATE("listed", migrate_listed, .kind = WASMILL_LIST_STATE),
			[KINDS] = STATE("kinds", migrate, .kind = WASMILL_MAP_STATE, .key_codec = WASMILL_I64),
		}});
	if (wasmill_same(trap, "skip")) wasmill_on_trap(counted, WASMILL_SKIP);
	work_sink(wasmill_uid(counted, "count"), "");
}
