// Folds has two operators whose records the host folds before it sends them: one of its own, and one of the guest's.
//
//	in           key,time,value       time: milliseconds >= 0, at most `disorder` behind those before; value: a whole number
//	out results  start,key,value      the sum of a key in the sliding window that begins at start
//	out chains   key<TAB>v;v;v;       all values of a key, in their order
//
// A checker must find: every result once; every value of a key once, and, if one subtask reads one file, in the order of the file.
#include "work.h"

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_pair number_of(const wasmill_record *r) { return (wasmill_pair){work_field(r->value, 0), wasmill_i64(work_int(r->value, 2))}; }

static wasmill_pair link_of(const wasmill_record *r) {
	work_line l = work_begin(24);
	work_number(&l, work_int(r->value, 2));
	work_char(&l, ';');
	return (wasmill_pair){work_field(r->value, 0), work_end(l)};
}

static wasmill_bytes joined(wasmill_bytes a, wasmill_bytes b) {
	uint8_t *both = wasmill_scratch(a.size + b.size);
	__builtin_memcpy(both, a.data, a.size);
	__builtin_memcpy(both + a.size, b.data, b.size);
	return (wasmill_bytes){both, a.size + b.size};
}

static wasmill_bytes row_of(const wasmill_group *g, wasmill_bytes chain) {
	work_line l = work_begin(g->key.size + chain.size + 1);
	work_text(&l, g->key);
	work_char(&l, '\t');
	work_text(&l, chain);
	return work_end(l);
}

WASMILL_JOB("folds") {
	int64_t size = wasmill_param_i64_or(job, "window", 1000, "length of a window in milliseconds");
	int64_t slide = wasmill_param_i64_or(job, "slide", 500, "milliseconds between the beginnings of windows");
	int64_t disorder = wasmill_param_i64_or(job, "disorder", 100, "how far a line may be behind, in milliseconds");
	const char *output = wasmill_param(job, "output", "directory to write");
	bool ahead = !wasmill_same(wasmill_param_or(job, "ahead", "auto", "whether lines are folded before they are sent: auto or off"), "off");
	wasmill_stream lines = wasmill_assign_timestamps(wasmill_source(job, wasmill_files(wasmill_param(job, "input", "file or glob to read"))), "time", time_of, disorder);
	wasmill_keyed numbers = wasmill_window(wasmill_key_value_by(lines, "number", number_of, WASMILL_UTF8, WASMILL_I64), wasmill_sliding(size, slide));
	wasmill_stream sums = wasmill_uid(wasmill_sum(numbers), "sums");
	wasmill_stream chains = wasmill_uid(wasmill_reduce_to(wasmill_key_value_by(lines, "link", link_of, WASMILL_UTF8, WASMILL_UTF8), "chain", joined, row_of, WASMILL_UTF8), "chains");
	if (!ahead) {
		wasmill_pre_aggregate(sums, false);
		wasmill_pre_aggregate(chains, false);
	}
	wasmill_sink_to(sums, wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/results")), "columns", "start,key,value"));
	work_sink(chains, "chains");
}
