// Baskets keeps much in lists, maps and timers, and takes some of it out again: line number n, of key n % keys, goes to the
// list and the map of its key, `bytes` bytes each, and sets a timer `delay` later, which takes it out of the map.
//
//	in   key          any text
//	out  key,n        when the timer of line n has found what it was set for
//	     key,end,m    at the last timer of a key: its list has m elements, all that were put there, in their order
//
// A checker must find every line once, and every end. What is missing, too much or damaged fails the job.
#include "work.h"

static int64_t keys, bytes, delay, lines;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(24);
	work_number(&l, r->timestamp % keys);
	return work_end(l);
}

static int64_t time_of(const wasmill_record *r) { return r->timestamp; }

enum { LINES, ITEMS };

static wasmill_bytes filled(int64_t n) {
	uint8_t *p = wasmill_scratch((uint32_t)bytes);
	uint64_t seed = work_mix((uint64_t)n);
	for (uint32_t i = 0; i < (uint32_t)bytes; i++) p[i] = (uint8_t)(seed >> (i & 7) * 8) ^ (uint8_t)i;
	return (wasmill_bytes){p, (uint32_t)bytes};
}

static void hold(wasmill_bytes is, int64_t n) {
	wasmill_bytes want = filled(n);
	if (is.data == NULL || is.size != want.size) wasmill_fail("an element that is missing, or too much");
	for (uint32_t i = 0; i < want.size; i++) {
		if (is.data[i] != want.data[i]) wasmill_fail("an element that is damaged, or in another's place");
	}
}

static void put(wasmill_context *c, const wasmill_record *r) {
	wasmill_list_add(c, LINES, filled(r->timestamp));
	wasmill_map_put(c, ITEMS, wasmill_i64(r->timestamp), filled(r->timestamp));
	wasmill_set_timer(c, WASMILL_EVENT_TIME, r->timestamp + delay);
}

static void tell(wasmill_context *c, const char *what, int64_t n) {
	work_line l = work_begin(c->key.size + 48);
	work_text(&l, c->key);
	for (; *what != 0; what++) work_char(&l, *what);
	work_number(&l, n);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

static void take(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)clock;
	int64_t n = time - delay, first = n % keys, m = 0;
	hold(wasmill_map_get(c, ITEMS, wasmill_i64(n)), n);
	wasmill_map_delete(c, ITEMS, wasmill_i64(n));
	tell(c, ",", n);
	if (n + keys < lines) return;
	wasmill_scan items = wasmill_scan_state(c, ITEMS);
	if (wasmill_next(&items)) wasmill_fail("an element that was deleted");
	wasmill_scan s = wasmill_scan_state(c, LINES);
	while (wasmill_next(&s)) hold(s.value, first + keys * m++);
	tell(c, ",end,", m);
}

WASMILL_JOB("baskets") {
	keys = wasmill_param_i64_or(job, "keys", 1000, "keys of the lines that are made");
	bytes = wasmill_param_i64_or(job, "bytes", 100, "bytes of an element");
	delay = wasmill_param_i64_or(job, "delay", 50000, "lines between the one that sets a timer and that which it fires at");
	lines = wasmill_param_i64_or(job, "count", 100000, "lines that are made in all");
	if (keys < 1 || bytes < 1 || bytes > 4096 || delay < 0 || lines < keys) wasmill_refuse(job, "keys, bytes, delay or count: out of range");
	wasmill_stream timed = wasmill_assign_timestamps(work_source(job, "input", "make", make), "time", time_of, 0);
	wasmill_keyed keyed = wasmill_key_by(timed, "key", wasmill_value, WASMILL_UTF8);
	wasmill_stream done = wasmill_process(keyed, "baskets", (wasmill_processor){
		.process = put, .timer = take, .codec = WASMILL_UTF8, .states = {
			[LINES] = {.name = "lines", .kind = WASMILL_LIST_STATE, .codec = WASMILL_BYTES},
			[ITEMS] = {.name = "items", .kind = WASMILL_MAP_STATE, .key_codec = WASMILL_I64, .codec = WASMILL_BYTES}}});
	work_sink(wasmill_uid(done, "baskets"), "");
}
