// Versioned says which version of itself has made each line, in two places: where the line is made, and behind its key.
//
//	in   number
//	out  key,n,number,version,version     n: how many lines of the key there were
//
// A checker must find every n of a key from 1 on once, numbers that grow with n, and the same version in both places: a
// module that is exchanged in running tasks makes what lies behind a barrier, everywhere, and nothing before it. The
// parameter trap says where the first record is trapped on: made or counted.
#include "work.h"

static int64_t keys;
static wasmill_bytes version;
static bool trap_made, trap_counted;

static wasmill_bytes number(const wasmill_record *r) {
	work_line l = work_begin(24);
	work_number(&l, r->timestamp);
	return work_end(l);
}

static wasmill_bytes make(const wasmill_record *r) {
	if (trap_made) __builtin_trap();
	int64_t n = work_int(r->value, 0);
	work_line l = work_begin(48 + version.size);
	work_number(&l, n % keys);
	work_char(&l, ',');
	work_number(&l, n);
	work_char(&l, ',');
	work_text(&l, version);
	return work_end(l);
}

static wasmill_pair by_key(const wasmill_record *r) {
	wasmill_bytes key = work_field(r->value, 0);
	return (wasmill_pair){key, {r->value.data + key.size + 1, r->value.size - key.size - 1}};
}

enum { COUNT };

static void count(wasmill_context *c, const wasmill_record *r) {
	if (trap_counted) __builtin_trap();
	wasmill_bytes before = wasmill_get(c, COUNT);
	int64_t n = 1 + (before.data == NULL ? 0 : wasmill_as_i64(before));
	wasmill_put(c, COUNT, wasmill_i64(n));
	work_line l = work_begin(c->key.size + r->value.size + version.size + 24);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, n);
	work_char(&l, ',');
	work_text(&l, r->value);
	work_char(&l, ',');
	work_text(&l, version);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

WASMILL_JOB("versioned") {
	keys = wasmill_param_i64_or(job, "keys", 16, "keys of the lines that are made");
	if (keys < 1) wasmill_refuse(job, "keys: fewer than 1");
	version = wasmill_string(wasmill_param_or(job, "version", "1", "what this module is called"));
	const char *trap = wasmill_param_or(job, "trap", "", "where the first record is trapped on: made or counted");
	trap_made = wasmill_same(trap, "made");
	trap_counted = wasmill_same(trap, "counted");
	wasmill_stream lines = wasmill_map(work_source(job, "input", "number", number), "make", make, WASMILL_UTF8);
	wasmill_keyed keyed = wasmill_key_value_by(lines, "by-key", by_key, WASMILL_UTF8, WASMILL_UTF8);
	wasmill_stream counted = wasmill_process(keyed, "count", (wasmill_processor){.process = count, .codec = WASMILL_UTF8, .states = {
		[COUNT] = {.name = "count", .codec = WASMILL_I64},
	}});
	work_sink(wasmill_uid(counted, "count"), "");
}
