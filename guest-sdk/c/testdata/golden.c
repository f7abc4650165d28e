// What wasmill.h reads and writes, compiled natively, against the golden encodings of abi/testdata, whose folder is the
// first argument. It prints what differs and answers how many differences there were.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../wasmill.h"

static int faults;
static const char *folder;

// What the guest said to its host in the last call.
static struct {
	uint8_t bytes[4096];
	uint32_t size, output, count;
} emitted, replied, failed;

static void take(uint8_t *dst, uint32_t *n, const void *data, uint32_t size) {
	if (size > sizeof emitted.bytes) abort();
	memcpy(dst, data, size);
	*n = size;
}

void wasmill_host_emit(uint32_t output, const void *data, uint32_t size) {
	take(emitted.bytes, &emitted.size, data, size);
	emitted.output = output;
	emitted.count++;
}
void wasmill_host_reply(const void *data, uint32_t size) { take(replied.bytes, &replied.size, data, size); }
void wasmill_host_fail(const void *data, uint32_t size) { take(failed.bytes, &failed.size, data, size); }
void wasmill_host_watermark(int64_t ms) { (void)ms; }
uint32_t wasmill_host_state(uint32_t op, const void *requests, uint32_t size, void *answers, uint32_t capacity) {
	(void)op, (void)requests, (void)size, (void)answers, (void)capacity;
	return 0;
}
void wasmill_host_log(uint32_t level, const void *text, uint32_t size) { (void)level, (void)text, (void)size; }
void wasmill_host_metric(uint32_t kind, const void *name, uint32_t size, int64_t value) { (void)kind, (void)name, (void)size, (void)value; }

static void check(bool ok, const char *what) {
	if (ok) return;
	printf("%s\n", what);
	faults++;
}

// golden returns the bytes of a file, behind room for a call header if there shall be one.
static wasmill_bytes golden(const char *name) {
	char path[4096], line[4096];
	snprintf(path, sizeof path, "%s/%s.hex", folder, name);
	FILE *f = fopen(path, "r");
	if (f == NULL) {
		printf("%s: cannot be opened\n", path);
		exit(1);
	}
	uint8_t *p = aligned_alloc(8, 4096);
	uint32_t n = 0;
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned byte;
		int used;
		for (char *c = line; *c != '#' && sscanf(c, "%2x%n", &byte, &used) == 1; c += used) p[n++] = (uint8_t)byte;
	}
	fclose(f);
	return (wasmill_bytes){p, n};
}

static void same(const char *name, wasmill_bytes got) {
	wasmill_bytes want = golden(name);
	if (got.size == want.size && memcmp(got.data, want.data, want.size) == 0) return;
	printf("%s: written as\n", name);
	for (uint32_t i = 0; i < got.size; i++) printf("%02x%s", got.data[i], i % 16 == 15 ? "\n" : " ");
	printf("\n");
	faults++;
}

// behind returns the golden encoding behind the golden call header named.
static wasmill_bytes behind(const char *header, uint32_t header_size, const char *name) {
	wasmill_bytes h = golden(header), b = golden(name);
	uint8_t *p = aligned_alloc(8, 8192);
	memcpy(p, h.data, header_size);
	memcpy(p + header_size, b.data, b.size);
	return (wasmill_bytes){p, header_size + b.size};
}

static wasmill_bytes itself(const wasmill_record *r) { return r->value; }
static wasmill_bytes plus(wasmill_bytes a, wasmill_bytes b) { return wasmill_i64(wasmill_as_i64(a) + wasmill_as_i64(b)); }

static wasmill_record seen[3];
static uint32_t seen_count;

static bool look(const wasmill_record *r) {
	seen[seen_count++] = *r;
	return true;
}

static const char *counter, *empty, *input, *missing;

static void forward(wasmill_context *c, const wasmill_record *r) { wasmill_emit(c->out, r->value.data, r->value.size); }

// Eight functions, of which the golden handle composes 0, 3, 5 and 6. The last has three side outputs.
WASMILL_JOB("golden") {
	counter = wasmill_param_or(job, "counter", "none", NULL);
	empty = wasmill_param_or(job, "empty", "none", NULL);
	input = wasmill_param(job, "input", NULL);
	missing = wasmill_param_or(job, "missing", "none", NULL);
	wasmill_stream s = wasmill_source(job, wasmill_generator());
	s = wasmill_map(s, "f0", itself, WASMILL_I64);
	s = wasmill_filter(s, "f1", look);
	s = wasmill_uid(wasmill_reduce(wasmill_key_by(s, "f2", wasmill_value, WASMILL_I64), "f3-is-none", plus), "sums");
	s = wasmill_map(s, "f4", itself, WASMILL_I64);
	s = wasmill_map(s, "f5", itself, WASMILL_I64);
	s = wasmill_map(s, "f6", itself, WASMILL_I64);
	s = wasmill_uid(wasmill_process(wasmill_key_by(s, "f7", wasmill_value, WASMILL_I64), "f8", (wasmill_processor){
		.process = forward, .codec = WASMILL_I64, .sides = {WASMILL_I64, WASMILL_UTF8, WASMILL_BYTES}}), "f8");
	wasmill_sink_to(s, wasmill_print());
}

// open opens one function with one output as handle 1.
static void open_one(uint32_t function, uint32_t columns) {
	uint32_t h[12] = {48, 1, 40, function, WASMILL__NONE, 0, 1, 0, 0, 9, columns, 0};
	check(wasmill__open(1, (const uint8_t *)h, sizeof h) == WASMILL__OK, "open: refused");
}

static void check_params(void) {
	wasmill_bytes p = golden("params");
	check(wasmill__describe(p.data, p.size), "describe: refused");
	check(!strcmp(counter, "native") && !strcmp(empty, "") && !strcmp(input, "/data/*.txt") && !strcmp(missing, "none"), "params: read otherwise");
	p = golden("params-none");
	check(wasmill__describe(p.data, p.size), "describe without parameters: refused");
	check(!strcmp(counter, "none") && !strcmp(input, ""), "params-none: read otherwise");
}

static void check_batches(void) {
	open_one(0, WASMILL__VALUES);
	emitted.count = 0;
	wasmill_bytes call = behind("call-header", 40, "batch-values");
	((uint8_t *)call.data)[4] = 0; // the handle reads input 0, the header says 1
	check(wasmill__process(1, call.data, call.size) == WASMILL__OK, "process: refused");
	check(emitted.count == 1 && emitted.output == 9, "batch-values: another number of batches, or of the output");
	same("batch-values", (wasmill_bytes){emitted.bytes, emitted.size});

	call = behind("call-header-longer", 56, "batch-empty");
	emitted.count = 0;
	check(wasmill__process(1, call.data, call.size) == WASMILL__OK && emitted.count == 0, "batch-empty: refused, or something was emitted");

	open_one(1, 0xff);
	call = behind("call-header-longer", 56, "batch-all");
	seen_count = 0;
	check(wasmill__process(1, call.data, call.size) == WASMILL__OK && seen_count == 3, "batch-all: refused");
	check(seen[0].timestamp == 1000 && seen[1].timestamp == -1 && seen[2].timestamp == 2000, "batch-all: timestamps");
	check(seen[0].kind == 0 && seen[1].kind == 1 && seen[2].kind == 3, "batch-all: change kinds");
	check(seen[0].key.size == 3 && !memcmp(seen[0].key.data, "sea", 3) && seen[1].key.size == 0 && seen[1].key.data != NULL, "batch-all: keys");
	check(seen[2].key.data == NULL && seen[1].value.data == NULL && seen[2].value.data != NULL, "batch-all: nulls");
	check(seen[0].value.size == 4 && !memcmp(seen[0].value.data, "blue", 4) && seen[2].value.size == 0, "batch-all: values");
	check(seen[0].headers.size == 2 && seen[1].headers.size == 0 && seen[2].headers.size == 1 && *seen[2].headers.data == 'c', "batch-all: headers");
	check(wasmill__load32(emitted.bytes + 4) == 0x2f, "batch-all: emitted with other columns than timestamps, keys, values, kinds and headers");
}

static void check_handle(void) {
	wasmill_bytes h = golden("handle");
	check(wasmill__open(5, h.data, h.size) == WASMILL__BAD_INPUT, "handle: a keyed function may not follow another, and did");
	uint8_t *p = (uint8_t *)h.data;
	wasmill__store32(p + 36, 4); // instead of function 3, which is keyed here
	check(wasmill__open(5, p, h.size) == WASMILL__OK, "handle: refused");
	const wasmill__node *n = wasmill__handles->nodes;
	check(wasmill__handles->n == 4 && n[0].out.n_outputs == 0 && n[0].out.n_children == 2 && n[0].out.children[1] == &n[2], "handle: branches");
	check(n[1].upstream == 0 && n[1].out.n_outputs == 1 && n[1].out.outputs[0].wanted == WASMILL__KEYS, "handle: function 1");
	check(n[2].function->id == 5 && n[2].out.outputs[0].wanted == 5 && n[2].out.outputs[1].number == 2, "handle: function 2");
	check(n[3].upstream == WASMILL__NONE && n[3].input == 1 && n[3].out.outputs[0].number == 3, "handle: function 3");
	check(wasmill__close(5) == WASMILL__OK && wasmill__close(5) == WASMILL__UNKNOWN_HANDLE, "handle: closed otherwise");
}

static void check_sides(void) {
	wasmill_bytes h = golden("handle-sides");
	uint8_t *p = (uint8_t *)h.data;
	wasmill__store32(p + 12, 1);
	check(wasmill__open(5, p, h.size) == WASMILL__BAD_INPUT, "handle-sides: a filter has no side outputs");
	wasmill__store32(p + 12, 8); // instead of function 2
	check(wasmill__open(5, p, h.size) == WASMILL__OK, "handle-sides: refused");
	const wasmill_out *out = &wasmill__handles->nodes[0].out;
	check(out->n_outputs == 1 && out->n_all == 3 && out->outputs[0].wanted == WASMILL__VALUES, "handle-sides: main output");
	uint32_t seen = 0;
	for (uint32_t i = 1; i < 3; i++) {
		const wasmill__output *o = &out->outputs[i];
		if (o->side == 1 && o->number == 1 && o->wanted == (WASMILL__KEYS | WASMILL__VALUES)) seen |= 1;
		if (o->side == 3 && o->number == 7 && o->wanted == 0) seen |= 2;
	}
	check(seen == 3, "handle-sides: side outputs 1 and 3");
}

static wasmill_bytes text(const char *s) { return wasmill_string(s); }

static void check_state(void) {
	wasmill__buffer b = {0};
	wasmill__request(&b, 3, 1, 0, text("whale"), text("1685"));
	wasmill__request(&b, WASMILL__NONE, 0, 0, text(""), text(""));
	same("state-put", (wasmill_bytes){b.data, b.size});
	b.size = 0;
	wasmill__request(&b, 3, 1, 7, text(""), text(""));
	wasmill__store32(b.data + 8 + 12, 2); // the limit, which is the host's choice in this SDK
	same("state-scan", (wasmill_bytes){b.data, b.size});

	wasmill_bytes p = golden("state-answer");
	wasmill__answer a;
	const uint8_t *at = wasmill__read_answer(&a, p.data + 8);
	wasmill_bytes key = wasmill__element(&a.keys, 1), value = wasmill__element(&a.values, 1);
	check(a.n == 2 && a.cursor == 9 && (a.flags & WASMILL__STATE_MORE) != 0, "state-answer: two elements, more from 9");
	check(key.size == 5 && !memcmp(key.data, "whale", 5) && value.size == 5 && !memcmp(value.data, "white", 5), "state-answer: entries");
	at = wasmill__read_answer(&a, at);
	check(a.n == 0 && a.flags == 0 && a.keys.offsets == NULL, "state-answer: a value that is not set");
	at = wasmill__read_answer(&a, at);
	check(a.n == 2 && wasmill__load64(a.values.timestamps + 8) == 1002 && wasmill__element(&a.values, 1).size == 0, "state-answer: records");
	check(at == p.data + p.size, "state-answer: bytes are left");
}

static void check_process(void) {
	open_one(8, WASMILL__VALUES);
	wasmill_bytes call = behind("call-header", 40, "groups");
	wasmill__store32((uint8_t *)call.data + 40 + 264, 0); // without the records of an input that it has not
	wasmill__store32((uint8_t *)call.data + 40 + 268, 0);
	emitted.count = replied.size = 0;
	check(wasmill__keyed_call(1, WASMILL__PROCESS_RECORDS, call.data, call.size) == WASMILL__OK, "groups: refused by a process function");
	check(emitted.count == 1 && wasmill__load32(emitted.bytes + 8) == 2 && replied.size == 0, "groups: two records are emitted, nothing is changed");
	check(wasmill__keyed_call(1, WASMILL__TIMER, call.data, call.size) == WASMILL__UNKNOWN_VERB, "groups: a function without timers takes one");
}

static void check_groups(void) {
	open_one(3, WASMILL__VALUES);
	wasmill_bytes call = behind("call-header", 40, "groups");
	check(wasmill__keyed_call(1, WASMILL__ACCUMULATE, call.data, call.size) == WASMILL__FAILED, "groups: elements are missing, and nobody said so");
	wasmill__store32((uint8_t *)call.data + 40 + 264, 2);
	check(wasmill__keyed_call(1, WASMILL__ACCUMULATE, call.data, call.size) == WASMILL__OK, "groups: refused");
	wasmill_bytes want = golden("reply"); // whose first entry is this one's answer
	check(replied.size == 40 && memcmp(replied.bytes, want.data, 40) == 0, "reply: 5 + 1 + 1 of \"whale\" are not put as 7");
	emitted.count = 0;
	check(wasmill__keyed_call(1, WASMILL__RESULT, call.data, call.size) == WASMILL__FAILED, "groups: \"whale\" is no i64, and nobody said so");
	check(wasmill__keyed_call(1, 99, call.data, call.size) == WASMILL__UNKNOWN_VERB, "groups: verb 99 is known");
}

static void check_failures(void) {
	wasmill__failed = false;
	wasmill__record = WASMILL__NONE;
	wasmill_fail("out of cheese");
	wasmill_fail("this is not the first cause");
	same("failure-of-call", (wasmill_bytes){failed.bytes, failed.size});
	wasmill__failed = false;
}

static void check_rows(void) {
	wasmill_row r = wasmill_row_begin(2);
	wasmill_row_set_i64(&r, 1, 1685);
	wasmill_row_set_bytes(&r, 0, wasmill_string("whale"));
	same("row-count", wasmill_row_end(&r));

	r = wasmill_row_begin(4);
	wasmill_row_set_i64(&r, 0, 60000);
	wasmill_row_set_i64(&r, 1, 120000);
	wasmill_row_set_bytes(&r, 2, wasmill_string(""));
	wasmill_row_set_i64(&r, 3, -1);
	same("row-window", wasmill_row_end(&r));

	r = wasmill_row_begin(65);
	wasmill_row_set_i64(&r, 64, 6);
	wasmill_row_set_i64(&r, 0, 5);
	same("row-65", wasmill_row_end(&r));

	wasmill_bytes all = golden("row-all");
	check(wasmill_row_i64(all, 12, 1) == -2 && wasmill_row_f64(all, 12, 2) == 2.5, "row-all: numbers");
	check(wasmill_row_bytes(all, 12, 4).size == 7 && wasmill_row_bytes(all, 12, 5).size == 0, "row-all: text");
	check(wasmill_row_null(all, 12, 10) && wasmill_row_bytes(all, 12, 10).data == NULL && !wasmill_row_null(all, 12, 11), "row-all: nulls");
	wasmill_bytes nested = wasmill_row_bytes(all, 12, 9);
	check(wasmill_row_i64(nested, 2, 0) == 7 && !memcmp(wasmill_row_bytes(nested, 2, 1).data, "in", 2), "row-all: nested row");
	r = wasmill_row_begin(12);
	for (uint32_t i = 0; i < 4; i++) wasmill_row_set_i64(&r, i, wasmill_row_i64(all, 12, i));
	for (uint32_t i = 4; i < 12; i++) wasmill_row_set_bytes(&r, i, wasmill_row_bytes(all, 12, i));
	same("row-all", wasmill_row_end(&r));
	wasmill_row_i64((wasmill_bytes){all.data, 24}, 12, 2);
	check(wasmill__failed, "row: a field behind the end was read");
	wasmill__failed = false;
}

static void check_keys(void) {
	double zero = 0.0;
	same("key-i64", wasmill_i64(-2));
	same("key-utf8", wasmill_string("m\xc3\xb6we"));
	same("key-f64", wasmill_f64_key(1.5));
	same("key-f64-zero", wasmill_f64_key(-zero));
	same("key-f64-nan", wasmill_f64_key(-(zero / zero)));
	wasmill_row r = wasmill_row_begin(1);
	same("key-nullable", wasmill_row_end(&r));
	r = wasmill_row_begin(3);
	wasmill_row_set_bytes(&r, 0, wasmill_string("sea"));
	wasmill_row_set_i64(&r, 1, wasmill_as_i64(wasmill_f64_key(-zero)));
	wasmill_row_set_i64(&r, 2, wasmill_as_i64(wasmill_f64_key(zero / zero)));
	same("key-composite", wasmill_row_end(&r));
}

int main(int argc, char **argv) {
	if (argc != 2) return 2;
	folder = argv[1];
	check_params();
	check_batches();
	check_handle();
	check_sides();
	check_groups();
	check_process();
	check_state();
	check_failures();
	check_rows();
	check_keys();
	return faults > 0;
}
