// Whole does something with all lines that a subtask has.
//
//	in input    number,id
//	out         as `of` says
//
//	sort      the lines by their numbers, the smallest first
//	fields    the same by rows of number and id: the largest number first, and of one number the smallest id
//	range     the same, behind ranges of the numbers: the lines of a subtask are behind those of the one before
//	map       every hundredth line as it comes, and behind the last one: end,lines,sum of the numbers
//	reduce    one line: sum of the numbers,sum of the ids; none if there is no line
//	aggregate one line: end,lines,sum of the numbers
//	keys      the lines of each key, which is the id divided by 7, together, by their numbers, the smallest first
#include "work.h"

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }

static wasmill_bytes number_of(const wasmill_record *r) {
	int64_t *n = (int64_t *)wasmill_scratch(sizeof *n);
	*n = work_int(r->value, 0);
	return (wasmill_bytes){(const uint8_t *)n, sizeof *n};
}

static wasmill_bytes sevenths(const wasmill_record *r) { return wasmill_i64(work_int(r->value, 1) / 7); }

static int by_number(wasmill_bytes a, wasmill_bytes b) {
	int64_t x = work_int(a, 0), y = work_int(b, 0);
	return x < y ? -1 : x > y;
}

static wasmill_bytes both_of(const wasmill_record *r) {
	wasmill_row row = wasmill_row_begin(2);
	wasmill_row_set_i64(&row, 0, work_int(r->value, 0));
	wasmill_row_set_i64(&row, 1, work_int(r->value, 1));
	return wasmill_row_end(&row);
}

// two is a line of two numbers, perhaps behind "end".
static wasmill_bytes two(bool ends, int64_t a, int64_t b) {
	work_line l = work_begin(64);
	if (ends) work_text(&l, (wasmill_bytes){(const uint8_t *)"end,", 4});
	work_number(&l, a);
	work_char(&l, ',');
	work_number(&l, b);
	return work_end(l);
}

static int64_t lines, sum; // of the subtask

static void begin(wasmill_context *c) {
	(void)c;
	lines = sum = 0;
}

static void take(wasmill_context *c, const wasmill_record *r) {
	sum += work_int(r->value, 0);
	if (++lines % 100 == 0) wasmill_emit(c->out, r->value.data, r->value.size);
}

static void end(wasmill_context *c) {
	wasmill_bytes made = two(true, lines, sum);
	wasmill_emit(c->out, made.data, made.size);
}

static wasmill_bytes add_up(wasmill_bytes a, wasmill_bytes b) { return two(false, work_int(a, 0) + work_int(b, 0), work_int(a, 1) + work_int(b, 1)); }

static wasmill_bytes none(void) { return (wasmill_bytes){(const uint8_t *)"0,0", 3}; } // lines,sum
static wasmill_bytes count_in(wasmill_bytes a, wasmill_bytes line) { return two(false, work_int(a, 0) + 1, work_int(a, 1) + work_int(line, 0)); }
static wasmill_bytes told(wasmill_bytes a) { return two(true, work_int(a, 0), work_int(a, 1)); }

WASMILL_JOB("whole") {
	const char *of = wasmill_param_or(job, "of", "sort", "what is done: sort, fields, range, map, reduce, aggregate or keys");
	wasmill_stream in = wasmill_rebalance(work_source(job, "input", "make", no_line)), out;
	if (wasmill_same(of, "map")) {
		out = wasmill_map_partition(in, "whole", (wasmill_processor){.begin = begin, .process = take, .end = end, .codec = WASMILL_UTF8});
	} else if (wasmill_same(of, "reduce")) {
		out = wasmill_reduce_partition(in, "whole", add_up);
	} else if (wasmill_same(of, "keys")) {
		out = wasmill_sort_window(wasmill_window(wasmill_key_by(in, "seventh", sevenths, WASMILL_I64), wasmill_full_window()), "whole", by_number);
	} else if (wasmill_same(of, "aggregate")) {
		wasmill_aggregator counted = {.create = none, .add = count_in, .result = told, .accumulator_codec = WASMILL_UTF8, .result_codec = WASMILL_UTF8};
		out = wasmill_aggregate_partition(in, "whole", counted);
	} else if (wasmill_same(of, "fields")) {
		out = wasmill_sort_partition(wasmill_key_by(in, "by", both_of, "row(number: i64, id: i64)"), "whole", "\"desc\",\"asc\"");
	} else if (wasmill_same(of, "range")) {
		in = wasmill_partition_range(wasmill_key_by(in, "ranged by", number_of, WASMILL_I64), "ranged");
		out = wasmill_sort_partition(wasmill_key_by(in, "by", number_of, WASMILL_I64), "whole", "\"asc\"");
	} else {
		if (!wasmill_same(of, "sort")) wasmill_refuse_param(job, "of", of, "sort, fields, range, map, reduce, aggregate or keys");
		out = wasmill_sort_partition(wasmill_key_by(in, "by", number_of, WASMILL_I64), "whole", "\"asc\"");
	}
	work_sink(wasmill_uid(out, "whole"), "");
}
