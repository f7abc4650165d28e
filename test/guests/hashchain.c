// Hashchain folds the records of each key into one number, in their order.
//
//	in   key,seq      any text, a whole number
//	out  key,n,h      for each line: how many lines of the key there were, and their chain, 16 hexadecimal digits
//
// h begins as 0, and a line makes x = (h xor seq) * 0x9e3779b97f4a7c15 and h = x xor (x >> 32), in 64 bits.
//
// A checker that folds the lines of a key, in their order, must come to the same h at every n, and find every n from 1 on
// once: a line that is lost, repeated or out of order changes all h behind it. The order within a key is that of the file
// when one subtask reads it. The parameter states says where n and h are kept, which must make no difference: value, list,
// map, or all, where a disagreement of the three fails the job.
#include "work.h"

static int64_t keys;
static bool in_value, in_list, in_map;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_number(&l, r->timestamp % keys);
	work_char(&l, ',');
	work_number(&l, r->timestamp / keys);
	return work_end(l);
}

static wasmill_pair by_key(const wasmill_record *r) {
	return (wasmill_pair){work_field(r->value, 0), wasmill_i64(work_int(r->value, 1))};
}

enum { VALUE, LIST, MAP };

typedef struct link {
	int64_t n;
	uint64_t h;
} link;

#define LIST_LENGTH 8 // the list holds the last links, and is begun anew when it has so many

static link link_of(wasmill_bytes b) {
	link k = {0};
	if (b.data != NULL) k = (link){wasmill_row_i64(b, 2, 0), (uint64_t)wasmill_row_i64(b, 2, 1)};
	return k;
}

static wasmill_bytes row_of(link k) {
	wasmill_row row = wasmill_row_begin(2);
	wasmill_row_set_i64(&row, 0, k.n);
	wasmill_row_set_i64(&row, 1, (int64_t)k.h);
	return wasmill_row_end(&row);
}

static link last_of_list(wasmill_context *c) {
	link k = {0};
	wasmill_scan s = wasmill_scan_state(c, LIST);
	while (wasmill_next(&s)) k = link_of(s.value);
	return k;
}

static link both_of_map(wasmill_context *c) {
	wasmill_bytes names[] = {wasmill_string("n"), wasmill_string("h")}, found[2];
	wasmill_map_get_all(c, MAP, names, found, 2);
	if (found[0].data == NULL || found[1].data == NULL) return (link){0};
	return (link){wasmill_as_i64(found[0]), (uint64_t)wasmill_as_i64(found[1])};
}

static link current(wasmill_context *c) {
	link v = {0}, l = {0}, m = {0};
	if (in_value) v = link_of(wasmill_get(c, VALUE));
	if (in_list) l = last_of_list(c);
	if (in_map) m = both_of_map(c);
	if (in_value && in_list && (v.n != l.n || v.h != l.h)) wasmill_fail("the value and the list disagree");
	if (in_value && in_map && (v.n != m.n || v.h != m.h)) wasmill_fail("the value and the map disagree");
	return in_value ? v : in_list ? l : m;
}

static void extend(wasmill_context *c, const wasmill_record *r) {
	link k = current(c);
	uint64_t x = (k.h ^ (uint64_t)wasmill_as_i64(r->value)) * 0x9e3779b97f4a7c15;
	k.h = x ^ x >> 32;
	k.n++;
	if (in_value) wasmill_put(c, VALUE, row_of(k));
	if (in_list) {
		if (k.n % LIST_LENGTH == 0) wasmill_clear(c, LIST);
		wasmill_list_add(c, LIST, row_of(k));
	}
	if (in_map) {
		wasmill_map_put(c, MAP, wasmill_string("n"), wasmill_i64(k.n));
		wasmill_map_put(c, MAP, wasmill_string("h"), wasmill_i64((int64_t)k.h));
	}
	work_line l = work_begin(c->key.size + 48);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, k.n);
	work_char(&l, ',');
	work_hex(&l, k.h);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

WASMILL_JOB("hashchain") {
	keys = wasmill_param_i64_or(job, "keys", 1000, "keys of the lines that are made");
	if (keys < 1) wasmill_refuse(job, "keys: fewer than 1");
	const char *states = wasmill_param_or(job, "states", "value", "where the chain is kept: value, list, map or all");
	bool all = wasmill_same(states, "all");
	in_value = all || wasmill_same(states, "value");
	in_list = all || wasmill_same(states, "list");
	in_map = all || wasmill_same(states, "map");
	if (!in_value && !in_list && !in_map) wasmill_refuse_param(job, "states", states, "value, list, map or all");
	wasmill_keyed keyed = wasmill_key_value_by(work_source(job, "input", "make", make), "by-key", by_key, WASMILL_UTF8, WASMILL_I64);
	const char *codec = "row(n: i64, h: i64)";
	wasmill_stream chained = wasmill_process(keyed, "extend", (wasmill_processor){.process = extend, .codec = WASMILL_UTF8, .states = {
		[VALUE] = {.name = "value", .codec = codec},
		[LIST] = {.name = "list", .kind = WASMILL_LIST_STATE, .codec = codec},
		[MAP] = {.name = "map", .kind = WASMILL_MAP_STATE, .codec = WASMILL_I64, .key_codec = WASMILL_UTF8},
	}});
	work_sink(wasmill_uid(chained, "chain"), "");
}
