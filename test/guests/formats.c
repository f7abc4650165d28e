// Formats reads rows of files and writes them again, in one format or another.
//
//	in            id, name, price, at, and tags unless `tags` is no
//	out copies    the same rows
//	out counts    rows by name and minute of event time
//	out letters   what of the input is no row: cause, then a tab, then the input
#include "wasmill.h"

#define FLAT "row(id: i64, name: utf8, price: decimal(12, 2)?, at: ms?"

static uint32_t fields;

static wasmill_bytes same(const wasmill_record *r) { return r->value; }

static wasmill_bytes name_of(const wasmill_record *r) { return wasmill_row_bytes(r->value, fields, 1); }

WASMILL_JOB("formats") {
	const char *format = wasmill_param_or(job, "from", "json", "format of the input");
	bool tags = wasmill_same(wasmill_param_or(job, "tags", "yes", "no: rows without lists"), "yes");
	const char *row = tags ? FLAT ", tags: list(utf8?)?)" : FLAT ")";
	fields = tags ? 5 : 4;
	wasmill_connector files = wasmill_row_files(wasmill_param(job, "input", "file or glob to read"), format, row);
	if (wasmill_same(format, "csv")) files = wasmill_with(files, "header", "true");
	files = wasmill_field_timestamps(files, wasmill_param_or(job, "timestamps", "at", "fields of event time"), 5000);
	wasmill_stream rows = wasmill_source(job, files);
	const char *policy = wasmill_param_or(job, "bad", "fail", "what becomes of bad input: fail, skip, deadLetter");
	const char *output = wasmill_param(job, "output", "directory to write");
	if (wasmill_same(policy, "skip")) rows = wasmill_on_trap(rows, WASMILL_SKIP);
	if (wasmill_same(policy, "deadLetter")) {
		rows = wasmill_on_trap(rows, WASMILL_DEAD_LETTER);
		wasmill_sink_to(wasmill_dead_letters(rows), wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/letters")), "columns", "cause,bytes"));
	}
	const char *to = wasmill_param_or(job, "to", "json", "format of the output");
	const char *times = wasmill_param_or(job, "times", "", "how times are written");
	wasmill_connector copies = wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/copies")), "format", to);
	if (wasmill_same(to, "csv")) copies = wasmill_with(copies, "header", "true");
	wasmill_sink_to(wasmill_map(rows, "same", same, row), wasmill_with(copies, "times", times));
	wasmill_keyed by_minute = wasmill_window(wasmill_key_by(rows, "name", name_of, WASMILL_UTF8), wasmill_tumbling(60000));
	wasmill_connector counts = wasmill_with(wasmill_file_sink(WASMILL__JOINED(output, "/counts")), "format", to);
	wasmill_sink_to(wasmill_uid(wasmill_count(by_minute), "counts"), wasmill_with(counts, "times", times));
}
