// Sleepy-state has much state that is changed seldom: a value of `bytes` bytes for each of `keys` keys.
//
//	in   key          any text
//	out  key,count    how many lines of the key there were up to it, `bytes` bytes of state later
//
// A checker must find every count of every key from 1 on, once. The value of a key begins with its count, and its other
// bytes follow from key and count; one that is damaged fails the job.
#include "work.h"

static int64_t keys, bytes;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(24);
	work_number(&l, r->timestamp % keys);
	return work_end(l);
}

enum { SLEEPY };

// filler is the byte at position i of the value of a key at count.
static uint8_t filler(uint64_t seed, uint32_t i) { return (uint8_t)(seed >> (i & 7) * 8) ^ (uint8_t)i; }

static uint64_t seed_of(wasmill_bytes key, int64_t count) {
	uint64_t seed = (uint64_t)count;
	for (uint32_t i = 0; i < key.size; i++) seed = work_mix(seed ^ key.data[i]);
	return seed;
}

static void touch(wasmill_context *c, const wasmill_record *r) {
	(void)r;
	wasmill_bytes old = wasmill_get(c, SLEEPY);
	int64_t count = 0;
	if (old.data != NULL) {
		count = wasmill_as_i64((wasmill_bytes){old.data, 8});
		uint64_t seed = seed_of(c->key, count);
		for (uint32_t i = 8; i < old.size; i++) {
			if (old.data[i] != filler(seed, i)) wasmill_fail("a value that is damaged");
		}
	}
	count++;
	uint8_t *value = wasmill_scratch((uint32_t)bytes);
	uint64_t seed = seed_of(c->key, count);
	for (uint32_t i = 0; i < 8; i++) value[i] = (uint8_t)((uint64_t)count >> 8 * i);
	for (uint32_t i = 8; i < (uint32_t)bytes; i++) value[i] = filler(seed, i);
	wasmill_put(c, SLEEPY, (wasmill_bytes){value, (uint32_t)bytes});
	work_line l = work_begin(c->key.size + 24);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, count);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

WASMILL_JOB("sleepy-state") {
	keys = wasmill_param_i64_or(job, "keys", 10000, "keys of the lines that are made");
	bytes = wasmill_param_i64_or(job, "bytes", 1000, "bytes of a key's value");
	if (keys < 1 || bytes < 8 || bytes > 1 << 20) wasmill_refuse(job, "keys: fewer than 1, or bytes (expected 8 <= bytes <= 1048576)");
	wasmill_keyed keyed = wasmill_key_by(work_source(job, "input", "make", make), "key", wasmill_value, WASMILL_UTF8);
	wasmill_stream touched = wasmill_process(keyed, "touch", (wasmill_processor){
		.process = touch, .codec = WASMILL_UTF8, .states = {[SLEEPY] = {.name = "sleepy", .codec = WASMILL_BYTES}}});
	work_sink(wasmill_uid(touched, "touch"), "");
}
