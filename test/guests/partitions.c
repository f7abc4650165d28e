// Partitions numbers the lines of each key and writes them to directories by day and key.
//
//	in   key,hour     any text, hours since the Unix epoch
//	out  key,hour,n   in DAY/KEY: and that it is line n of its key
//
// A checker must find every line once, where it belongs, and n as 1, 2, 3 ... for each key, without gaps, in the order of the
// files' commits.
#include "work.h"

static int64_t keys;

static wasmill_bytes make(const wasmill_record *r) {
	work_line l = work_begin(48);
	work_number(&l, r->timestamp % keys);
	work_char(&l, ',');
	work_number(&l, r->timestamp / 1000);
	return work_end(l);
}

static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1) * 3600000; }

static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static void number(wasmill_context *c, const wasmill_record *r) {
	int64_t n = wasmill_get_i64(c, 0, 0) + 1;
	wasmill_put_i64(c, 0, n);
	work_line l = work_begin(r->value.size + 24);
	work_text(&l, r->value);
	work_char(&l, ',');
	work_number(&l, n);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

WASMILL_JOB("partitions") {
	keys = wasmill_param_i64_or(job, "keys", 10, "keys of the lines that are made");
	if (keys < 1) wasmill_refuse(job, "keys: fewer than 1");
	wasmill_stream s = wasmill_assign_timestamps(work_source(job, "input", "make", make), "time", time_of, 1LL << 40);
	s = wasmill_process(wasmill_key_by(s, "key", key_of, WASMILL_UTF8), "number", (wasmill_processor){
		.process = number, .codec = WASMILL_UTF8, .states = {{.name = "n", .codec = WASMILL_I64}}});
	wasmill_connector files = wasmill_file_sink(wasmill_param(job, "output", "directory to write"));
	files = wasmill_with(files, "partition", wasmill_param_or(job, "partition", "{yyyy}-{MM}-{dd}/{key}", "directories of the output"));
	files = wasmill_with(files, "rollSize", wasmill_param_or(job, "roll-size", "1KiB", "of a file"));
	files = wasmill_with(files, "rollInterval", wasmill_param_or(job, "roll-interval", "", "of a file"));
	wasmill_sink_to(wasmill_uid(s, "number"), files);
}
