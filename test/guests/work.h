// What the workload guests have in common: where their lines come from, and how they read and write numbers. A line is
// made of fields with commas between them. With the parameter input, lines are read from files; without, each guest makes
// them of the numbers 0, 1, 2 ... of a generator, so that the same run has the same lines.
#include "wasmill.h"

// work_mix spreads a number over 64 bits (splitmix64): what is random in the lines that a guest makes.
static inline uint64_t work_mix(uint64_t x) {
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

// work_line collects a line in scratch memory.
typedef struct work_line {
	uint8_t *start, *end;
} work_line;

static inline work_line work_begin(uint32_t room) {
	uint8_t *p = wasmill_scratch(room);
	return (work_line){p, p};
}

static inline wasmill_bytes work_end(work_line l) { return (wasmill_bytes){l.start, (uint32_t)(l.end - l.start)}; }

static inline void work_text(work_line *l, wasmill_bytes b) {
	for (uint32_t i = 0; i < b.size; i++) *l->end++ = b.data[i];
}

static inline void work_char(work_line *l, char c) { *l->end++ = (uint8_t)c; }

static inline void work_number(work_line *l, int64_t v) {
	uint8_t digits[20];
	uint32_t n = 0;
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do digits[n++] = (uint8_t)('0' + left % 10);
	while ((left /= 10) != 0);
	if (v < 0) work_char(l, '-');
	while (n > 0) *l->end++ = digits[--n];
}

static inline void work_hex(work_line *l, uint64_t v) {
	for (int shift = 60; shift >= 0; shift -= 4) work_char(l, "0123456789abcdef"[v >> shift & 15]);
}

// work_field returns field i of a line. One that is missing fails the record.
static inline wasmill_bytes work_field(wasmill_bytes line, uint32_t i) {
	uint32_t start = 0, at = 0;
	for (; at < line.size; at++) {
		if (line.data[at] != ',') continue;
		if (i-- == 0) return (wasmill_bytes){line.data + start, at - start};
		start = at + 1;
	}
	if (i > 0) wasmill_fail("a line with a field too few");
	return (wasmill_bytes){line.data + start, at - start};
}

// work_int returns field i of a line as a number.
static inline int64_t work_int(wasmill_bytes line, uint32_t i) {
	wasmill_bytes f = work_field(line, i);
	bool negative = f.size > 0 && f.data[0] == '-';
	uint64_t n = 0;
	if (f.size == (uint32_t)negative) wasmill_fail("a field that is no number");
	for (uint32_t k = negative; k < f.size; k++) {
		if (f.data[k] < '0' || f.data[k] > '9') wasmill_fail("a field that is no number");
		n = 10 * n + (f.data[k] - '0');
	}
	return (int64_t)(negative ? 0 - n : n);
}

// work_source reads the lines of the files that a parameter names, or makes them of a generator's numbers, which are the
// event times of its records.
static inline wasmill_stream work_source(wasmill_job *job, const char *input, const char *name, wasmill_map_fn make) {
	const char *path = wasmill_param_or(job, input, "", "file or glob of lines to read; none: lines are made");
	const char *count = wasmill_param_or(job, "count", "100000", "lines that are made in all; 0: without end");
	const char *rate = wasmill_param_or(job, "rate", "0", "lines a second that are made; 0: as many as are taken");
	if (*path != 0) return wasmill_source(job, wasmill_files(path));
	return wasmill_map(wasmill_source(job, wasmill_with(wasmill_with(wasmill_generator(), "count", count), "rate", rate)), name, make, WASMILL_UTF8);
}

// work_sink writes to a folder of the directory that the parameter output names.
static inline void work_sink(wasmill_stream s, const char *folder) {
	const char *output = wasmill_param(s.job, "output", "directory to write");
	wasmill_sink_to(s, wasmill_file_sink(*folder == 0 ? output : WASMILL__JOINED(output, "/", folder)));
}
