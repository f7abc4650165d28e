// Wordcount counts the words of text files. A word is a longest run of ASCII letters, in lower case.
#include "wasmill.h"

static uint64_t load(const uint8_t *p) {
	uint64_t v;
	__builtin_memcpy(&v, p, 8);
	return v;
}

// letters sets bit i of its answer where byte i of eight bytes is a letter, and writes them in lower case to lower.
static uint64_t letters(uint64_t eight, uint8_t *lower) {
	const uint64_t each = 0x0101010101010101, high = 0x80 * each;
	uint64_t low = eight | 0x20 * each; // letters in lower case; nothing else becomes one
	__builtin_memcpy(lower, &low, 8);
	uint64_t bits = low & ~high, from_a = bits + (0x80 - 'a') * each, past_z = bits + (0x7f - 'z') * each;
	uint64_t is = from_a & ~past_z & ~eight & high; // the high bit of each byte
	return (is >> 7) * 0x0102040810204080 >> 56;    // gathered
}

// block looks at up to 64 bytes: a bit for each that is a letter.
static uint64_t block(const uint8_t *text, uint32_t n, uint8_t *lower) {
	uint64_t is = 0;
	uint32_t i = 0;
	for (; i + 8 <= n; i += 8) is |= letters(load(text + i), lower + i) << i;
	uint64_t rest = 0; // zeros are no letters
	for (uint32_t k = i; k < n; k++) rest |= (uint64_t)text[k] << 8 * (k - i);
	return i < n ? is | letters(rest, lower + i) << i : is;
}

// split emits the words of a line. It goes from edge to edge, where a word begins or ends, and not from byte to byte.
static void split(const wasmill_record *line, wasmill_out *words) {
	const uint8_t *text = line->value.data;
	uint32_t n = line->value.size, start = 0;
	uint8_t *lower = wasmill_scratch(n + 8);
	uint64_t inside = 0; // 1 in a word, which begins at start
	for (uint32_t at = 0; at < n; at += 64) {
		uint64_t is = block(text + at, n - at < 64 ? n - at : 64, lower + at);
		for (uint64_t edges = is ^ (is << 1 | inside); edges != 0; edges &= edges - 1) {
			uint32_t edge = at + (uint32_t)__builtin_ctzll(edges);
			if (inside) wasmill_emit(words, lower + start, edge - start);
			else start = edge;
			inside ^= 1;
		}
	}
	if (inside) wasmill_emit(words, lower + start, n - start);
}

static wasmill_pair one(const wasmill_record *word) { return (wasmill_pair){word->value, wasmill_i64(1)}; }

static wasmill_bytes add(wasmill_bytes a, wasmill_bytes b) { return wasmill_i64(wasmill_as_i64(a) + wasmill_as_i64(b)); }

WASMILL_JOB("wordcount") {
	wasmill_connector files = wasmill_files(wasmill_param(job, "input", "file or glob to read"));
	wasmill_connector sink = wasmill_file_sink(wasmill_param(job, "output", "directory to write"));
	int64_t window = wasmill_param_i64_or(job, "window", 0, "count by windows of so many milliseconds");
	const char *counter = wasmill_param_or(job, "counter", "native", "who counts: native or guest");
	bool guest = wasmill_same(counter, "guest");
	if (!guest && !wasmill_same(counter, "native")) wasmill_refuse_param(job, "counter", counter, "native or guest");

	if (window != 0) {
		files = wasmill_offset_timestamps(files); // a line's event time is its offset in the file
		sink = wasmill_with(sink, "columns", "start,key,value");
	}
	wasmill_stream words = wasmill_flat_map(wasmill_source(job, files), "split", split, WASMILL_UTF8);
	wasmill_keyed by_word = guest ? wasmill_key_value_by(words, "word", one, WASMILL_UTF8, WASMILL_I64)
	                              : wasmill_key_by(words, "word", wasmill_value, WASMILL_UTF8);
	if (window != 0) by_word = wasmill_window(by_word, wasmill_tumbling(window));
	wasmill_stream counts = guest ? wasmill_reduce(by_word, "add", add) : wasmill_count(by_word);
	wasmill_sink_to(wasmill_uid(counts, "counts"), sink);
}
