// SPDX-License-Identifier: Apache-2.0
//
// wasmill.h: Wasmill jobs in C. One header, C11, no dependencies, freestanding or with wasi-libc; exactly one file of a
// module includes it. It speaks version 1 of the ABI (abi/README.md) and knows nothing else of the host.
//
//	#include "wasmill.h"
//
//	static bool has_whale(const wasmill_record *line) { ... }
//
//	WASMILL_JOB("whales") {
//		wasmill_stream lines = wasmill_source(job, wasmill_files(wasmill_param(job, "input", "file or glob to read")));
//		wasmill_stream found = wasmill_filter(lines, "has-whale", has_whale);
//		wasmill_sink_to(found, wasmill_file_sink(wasmill_param(job, "output", "directory to write")));
//	}
//
//	clang-19 --target=wasm32-unknown-unknown -O2 -ffreestanding -nostdlib -Wl,--no-entry,--strip-debug -o whales.wasm whales.c
//
// The definition runs when the host asks for the job graph, and again in every instance: it must depend on nothing but
// the job's parameters. Strings given to it are not copied: literals and parameters are right. The functions of a job
// run on batches; those that follow each other run fused inside one call of the host.
#ifndef WASMILL_H
#define WASMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WASMILL_SDK "c 0.1.0"

// What runs once in an instance is compiled to be small, what runs for every record to be fast.
#define WASMILL__SMALL static __attribute__((noinline, cold, unused))

// ---------------------------------------------------------------------------------------------------------------------
// What functions work on

// wasmill_bytes is a view of bytes that somebody else owns.
typedef struct wasmill_bytes {
	const uint8_t *data; // NULL: null
	uint32_t size;
} wasmill_bytes;

// wasmill_record is the record that a function is called with. Its bytes are valid during the call.
typedef struct wasmill_record {
	wasmill_bytes value, key, headers;
	int64_t timestamp; // milliseconds, WASMILL_NO_TIMESTAMP without event time
	uint8_t kind;      // 0 insert, 1 update before, 2 update after, 3 delete
} wasmill_record;

#define WASMILL_NO_TIMESTAMP INT64_MIN

// Codecs say what the bytes of keys and values are. Others: "row(name: type, ...)", or a name of your own with a dot.
#define WASMILL_BYTES "bytes"
#define WASMILL_UTF8 "utf8"
#define WASMILL_I64 "i64"
#define WASMILL_F64 "f64"
#define WASMILL_JSON "json"
#define WASMILL_LETTER "row(unit: utf8, key: bytes?, cause: utf8, bytes: bytes)" // of dead letters

// wasmill_out is where a flat_map function emits to.
typedef struct wasmill_out wasmill_out;

// wasmill_pair is what a key_value_by function answers.
typedef struct wasmill_pair {
	wasmill_bytes key, value;
} wasmill_pair;

// wasmill_group is what a result is made for. Without window, start and end are 0.
typedef struct wasmill_group {
	wasmill_bytes key;
	int64_t start, end; // of the window, milliseconds, end exclusive
} wasmill_group;

// The functions of a job. Bytes that they return may lie in the record, in wasmill_scratch memory or in static memory;
// they are copied before the next function is called with another record.
typedef wasmill_bytes (*wasmill_map_fn)(const wasmill_record *);
typedef bool (*wasmill_filter_fn)(const wasmill_record *);
typedef void (*wasmill_flat_map_fn)(const wasmill_record *, wasmill_out *);
typedef wasmill_bytes (*wasmill_key_fn)(const wasmill_record *);
typedef wasmill_pair (*wasmill_key_value_fn)(const wasmill_record *);
typedef int64_t (*wasmill_timestamp_fn)(const wasmill_record *);

// wasmill_watermark_fn returns a record's event time, and may set the watermark behind it: no record before or at it is to
// come. One below an earlier one says nothing.
typedef int64_t (*wasmill_watermark_fn)(const wasmill_record *, int64_t *watermark);
typedef void (*wasmill_join_fn)(const wasmill_record *left, const wasmill_record *right, wasmill_out *); // any number of records of two; of an outer join one may be NULL

// wasmill_co_group is what two inputs have of a key in a window. wasmill_next_record walks the records of one of them, in the
// order of their times: as often as you like, with a cursor each time.
//
//	wasmill_records left = wasmill_records_of(g, 0);
//	while (wasmill_next_record(&left)) sum += wasmill_as_i64(left.record.value);
typedef struct wasmill_co_group {
	wasmill_bytes key;
	int64_t start, end; // of the window, end exclusive
	const struct wasmill__group *group; // for wasmill.h
} wasmill_co_group;

typedef struct wasmill_records {
	wasmill_record record;
	const wasmill_co_group *of; // for wasmill.h, as is the rest
	uint32_t input, at, done;
	struct wasmill__page *page; // NULL: what came with the call
} wasmill_records;

static wasmill_records wasmill_records_of(const wasmill_co_group *g, uint32_t input);
static bool wasmill_next_record(wasmill_records *r); // false: there is none. The record is valid until the next call
typedef void (*wasmill_co_group_fn)(const wasmill_co_group *, wasmill_out *); // any number of records of a group

// wasmill_request is what is asked about a record, and wasmill_response the answer.
typedef struct wasmill_request wasmill_request;
typedef struct wasmill_response {
	bool asked;         // false: the function had nothing to ask
	bool timed_out;     // there was no answer in time
	bool refused;       // the host does not make the request, or does not take its answer
	bool broken;        // there was no answer
	uint32_t status;    // of HTTP; 0 without an answer
	wasmill_bytes body; // without an answer why, for people
	wasmill_bytes headers;
} wasmill_response;

typedef void (*wasmill_request_fn)(const wasmill_record *, wasmill_request *); // one that calls no wasmill_http asks nothing
typedef void (*wasmill_response_fn)(const wasmill_record *, const wasmill_response *, wasmill_out *);

// wasmill_http asks for a URL; the bytes are copied. wasmill_http_header adds a line to the head of the request.
__attribute__((unused)) static void wasmill_http(wasmill_request *r, const char *method, wasmill_bytes url, wasmill_bytes body);
__attribute__((unused)) static void wasmill_http_header(wasmill_request *r, const char *name, const char *value);

// wasmill_response_header is the first header of a name, whatever its case; NULL data: there is none.
__attribute__((unused)) static wasmill_bytes wasmill_response_header(const wasmill_response *r, const char *name);

#define WASMILL_MAX_HOSTS 16

// wasmill_async is a request function, and how its requests are made. What is 0 is the host's choice.
typedef struct wasmill_async {
	wasmill_request_fn request;
	wasmill_response_fn response;
	bool failures;      // response is called for requests without an answer, too; without, such a one fails the job
	const char *codec;  // of what response emits
	const char *hosts[WASMILL_MAX_HOSTS]; // that may be asked, HOST:PORT; the cluster must grant them
	bool ordered;       // results come out in the order of the records; without, as answers come, between two watermarks
	uint32_t capacity;  // records that are asked about at once
	int64_t timeout_ms; // of the answer about a record, with all tries
	uint32_t retries;   // at most; 0: a request is made once
	int64_t delay_ms, max_delay_ms;          // before a retry
	uint32_t grow_percent;                   // each delay is so much of the one before
	const char *retry_on[WASMILL_MAX_HOSTS]; // "broken", a status as "429", a class as "5xx"; none: these
} wasmill_async;

typedef uint32_t (*wasmill_partition_fn)(const wasmill_record *, uint32_t receivers); // below receivers

// wasmill_range is what a partition function answers that gives each receiver its range of a value: below bounds[0], from there to
// below bounds[1], and so on. Bounds ascend. Of two receivers the later one has what is larger; it has several ranges if there are
// fewer receivers than ranges, none if there are more.
static inline uint32_t wasmill_range(int64_t value, const int64_t *bounds, uint32_t n, uint32_t receivers) {
	uint32_t range = 0;
	while (range < n && value >= bounds[range]) range++;
	return (uint32_t)((uint64_t)range * receivers / (n + 1));
}

typedef wasmill_bytes (*wasmill_reduce_fn)(wasmill_bytes a, wasmill_bytes b); // must be associative
typedef wasmill_bytes (*wasmill_result_fn)(const wasmill_group *, wasmill_bytes accumulator);

// wasmill_aggregator folds the values of a key into an accumulator and makes a result of it.
typedef struct wasmill_aggregator {
	wasmill_bytes (*create)(void);
	wasmill_bytes (*add)(wasmill_bytes accumulator, wasmill_bytes value);
	wasmill_bytes (*merge)(wasmill_bytes a, wasmill_bytes b);
	wasmill_bytes (*result)(wasmill_bytes accumulator);
	const char *accumulator_codec, *result_codec;
} wasmill_aggregator;

// wasmill_emit puts out a record whose value is value; key, timestamp, kind and headers are those of the record that
// came in. The bytes are copied.
static inline void wasmill_emit(wasmill_out *out, const void *data, uint32_t size);

// wasmill_emit_at is wasmill_emit of a record with another timestamp.
static inline void wasmill_emit_at(wasmill_out *out, int64_t timestamp, const void *data, uint32_t size);

// wasmill_value is the key function of records whose value is the key.
static inline wasmill_bytes wasmill_value(const wasmill_record *r) { return r->value; }

// wasmill_fail ends the call: the host learns the message and which record it was. The function should return at once;
// what it returns, and what the call has emitted, does not count.
WASMILL__SMALL void wasmill_fail(const char *message);

// wasmill_scratch returns size bytes on an address that is a multiple of 8. They are valid until the functions are done
// with the record that came in.
static inline void *wasmill_scratch(uint32_t size);

typedef enum wasmill_level { WASMILL_DEBUG = 1, WASMILL_INFO, WASMILL_WARN, WASMILL_ERROR } wasmill_level;

WASMILL__SMALL void wasmill_log(wasmill_level level, const char *text);
WASMILL__SMALL void wasmill_counter_add(const char *name, int64_t n);
WASMILL__SMALL void wasmill_gauge_set(const char *name, int64_t value);

// ---------------------------------------------------------------------------------------------------------------------
// Process functions: anything, with state and timers

// A broadcast state is a map of which every subtask has a copy, which records of the broadcast input change; see
// wasmill_broadcast_process. The last two are lists of the operator, not of a key: each subtask has a part, which only it sees. Another parallelism deals the
// elements of an operator list out anew, as many to each subtask; of a union list every subtask begins with all, whenever the job
// begins or goes on. They lie in memory, and are for what does not grow with the input.
typedef enum wasmill_state_kind {
	WASMILL_VALUE_STATE, WASMILL_LIST_STATE, WASMILL_MAP_STATE, WASMILL_BROADCAST_STATE, WASMILL_OPERATOR_LIST, WASMILL_UNION_LIST
} wasmill_state_kind;

// wasmill_state declares a state, of which every key has one of its own, but for lists of the operator. The host keeps it.
typedef struct wasmill_state {
	const char *name;
	wasmill_state_kind kind;
	const char *codec, *key_codec; // key_codec: of a map
	int64_t ttl_ms;                // how long an element is kept behind its last change, 0: until it is cleared
	uint32_t version;              // of its codecs: raised when their bytes mean something else
	// Makes an element of this version of one of version from; when it returns none (data NULL), the element is dropped.
	// The key, of a map, stays. What it makes may depend on nothing but its arguments. NULL: a state of an older version is refused.
	wasmill_bytes (*migrate)(uint32_t from, wasmill_bytes key, wasmill_bytes element);
	uint32_t oldest;               // the oldest version that migrate takes
	bool event_time;               // ttl_ms is measured by event time: it begins with that of the record or timer that wrote, and the watermark ends it
	bool of_window;                // of a window function: a value that every key has in every window, and that ends with it
	// Of a value that is made of all that wasmill_add adds: what the value and one that is added become; or, of an accumulator, an
	// aggregator, whose result wasmill_result answers. Their functions may depend on nothing but their arguments. In sessions that
	// have become one, such a state of a trigger is made of those that they had, by reduce or merge, before merged is called.
	wasmill_reduce_fn reduce;
	const wasmill_aggregator *aggregator;
} wasmill_state;

typedef enum wasmill_clock { WASMILL_EVENT_TIME, WASMILL_PROCESSING_TIME } wasmill_clock;

typedef enum wasmill_timing { WASMILL_ON_TIME, WASMILL_EARLY, WASMILL_LATE } wasmill_timing;

// wasmill_context is what a process function, a window function or a trigger works with. It is valid during the call.
typedef struct wasmill_context {
	wasmill_out *out;  // where to emit to: records have the key; the timestamp is the record's or the event-time timer's
	wasmill_bytes key; // whose state and timers these are; empty behind a stream without key
	int64_t watermark; // as far as event time has come, WASMILL_NO_TIMESTAMP before the first
	int64_t now;       // processing time, one for the whole call
	uint32_t subtask, parallelism; // which of the operator's subtasks this is, from 0, and how many there are
	int64_t start, end;    // of the window of a window function or trigger, both 0 if it has no end
	wasmill_timing timing; // why the window has a result: its time has come; before that; or a record came behind its end
	uint32_t group;        // for wasmill.h, as is the rest
	const struct wasmill__group *read;
	const struct wasmill__function *function;
} wasmill_context;

#define WASMILL_MAX_STATES 8
#define WASMILL_MAX_SIDES 8

// wasmill_processor is a process function: its callbacks and what they need. A state's position is its number, a side
// output's is its number less one. The callbacks must keep nothing elsewhere.
//
//	enum { BALANCE };
//	static const wasmill_processor ledger = {
//		.process = book, .codec = WASMILL_UTF8, .states = {[BALANCE] = {.name = "balance", .codec = WASMILL_I64}},
//	};
typedef struct wasmill_processor {
	void (*process)(wasmill_context *, const wasmill_record *);       // a record of the first input
	void (*process_other)(wasmill_context *, const wasmill_record *); // one of the other input, of wasmill_co_process
	void (*timer)(wasmill_context *, wasmill_clock, int64_t time);    // a timer is due; NULL: none are set
	void (*apply)(wasmill_context *, const wasmill_record *);         // a broadcast record that process_other has said wasmill_apply_to_keys of, for a key
	void (*begin)(wasmill_context *);                                 // before a subtask's first record, whenever the job begins or goes on: of no key
	void (*end)(wasmill_context *);                                   // behind a subtask's last record, of wasmill_map_partition
	void (*window)(wasmill_context *, const wasmill_co_group *);      // in place of these three, of wasmill_process_window: input 0 is what the window has
	void (*folded)(wasmill_context *, wasmill_bytes result);          // the same of wasmill_aggregate_window_with: what the aggregator makes of it
	const char *codec;                                                // of what is emitted
	const char *sides[WASMILL_MAX_SIDES];                             // of what is emitted to side output 1, 2 ...
	wasmill_state states[WASMILL_MAX_STATES];
} wasmill_processor;

// wasmill_apply_to_keys has apply called with the broadcast record at hand, for each key of this subtask that has something in a state of
// keys, before the next record of either stream.
static void wasmill_apply_to_keys(wasmill_context *c, uint32_t state);

// wasmill_emit_side is wasmill_emit to a side output, from 1.
static inline void wasmill_emit_side(wasmill_out *out, uint32_t side, const void *data, uint32_t size);

// Value states. What is read is valid until the value is put or cleared; data is NULL when there is none. Small values
// come with the call, others are asked for.
static wasmill_bytes wasmill_get(wasmill_context *c, uint32_t state);
static void wasmill_put(wasmill_context *c, uint32_t state, wasmill_bytes value);
static inline int64_t wasmill_get_i64(wasmill_context *c, uint32_t state, int64_t otherwise);
static inline void wasmill_put_i64(wasmill_context *c, uint32_t state, int64_t value);

// Reducing and aggregating states: values that others are added to. wasmill_result is the value, or what the aggregator makes of
// it; its data is NULL when nothing was added.
//
//	.states = {[MOST] = {.name = "most", .codec = WASMILL_I64, .reduce = larger}, [MEAN] = {.name = "mean", .codec = "row(...)", .aggregator = &mean}}
static void wasmill_add(wasmill_context *c, uint32_t state, wasmill_bytes value);
static wasmill_bytes wasmill_result(wasmill_context *c, uint32_t state);

// wasmill_clear removes a value, or all of a list or map.
static void wasmill_clear(wasmill_context *c, uint32_t state);

// List and map states. Writes are collected and sent many at a time, before the next read at the latest. Keys of a map
// may not be empty: a function that uses such a one fails. What is read is valid until the functions are done with the
// record that came in.
static void wasmill_list_add(wasmill_context *c, uint32_t state, wasmill_bytes element);
static void wasmill_map_put(wasmill_context *c, uint32_t state, wasmill_bytes key, wasmill_bytes value);
static void wasmill_map_delete(wasmill_context *c, uint32_t state, wasmill_bytes key);
static wasmill_bytes wasmill_map_get(wasmill_context *c, uint32_t state, wasmill_bytes key);
// Many values of a map with one request to the host.
static void wasmill_map_get_all(wasmill_context *c, uint32_t state, const wasmill_bytes *keys, wasmill_bytes *values, uint32_t n);

// wasmill_scan walks a list in its order, or a map in the order of its keys' bytes. The state is not to be changed meanwhile.
//
//	wasmill_scan s = wasmill_scan_state(c, HISTORY);
//	while (wasmill_next(&s)) use(s.key, s.value);
typedef struct wasmill_scan {
	wasmill_bytes key, value; // valid until the next one is asked for; a list has no keys
	struct wasmill__page *page;
} wasmill_scan;
static wasmill_scan wasmill_scan_state(wasmill_context *c, uint32_t state);
static bool wasmill_next(wasmill_scan *scan);

// Timers. One that was set for the same time already stays one; deleting one that is not set does nothing. A job whose input
// ends does not wait for processing time: timers of it that are not due by then are dropped.
static void wasmill_set_timer(wasmill_context *c, wasmill_clock clock, int64_t time);
static void wasmill_delete_timer(wasmill_context *c, wasmill_clock clock, int64_t time);

// ---------------------------------------------------------------------------------------------------------------------
// How a job is defined

typedef struct wasmill_job wasmill_job;
typedef struct wasmill__operator wasmill__operator;

// wasmill_stream is the output of an operator.
typedef struct wasmill_stream {
	wasmill_job *job;
	wasmill__operator *op;
	const char *partition; // of the edge to the next operator, NULL: the host's choice
	uint32_t side;         // output of the operator, 0: the main one
} wasmill_stream;

// wasmill_keyed is a stream whose records have a key: all records of one key meet in one subtask.
typedef struct wasmill_keyed wasmill_keyed;

// wasmill_time_window cuts time into pieces of one size that begin at multiples of it, or every slide_ms, and offset_ms behind
// that; or into sessions, with a longer silence between two of a key than gap_ms (one of gap_ms still joins them); or into windows of
// `count` records of a key, one every count_slide records (0: one behind the other). lateness_ms is how long behind its end a window takes late records: each makes its result be emitted again.
typedef struct wasmill_time_window wasmill_time_window;

// Fields of a trigger or an evictor are what abi/README.md says; threshold is decimal text.
typedef struct wasmill_trigger {
	const char *kind; // NULL: none, the window fires at its end
	int64_t count, every_ms;
	const char *threshold, *field;
	bool purging; // what the window has leaves with each result
	const char *function; // for wasmill.h
} wasmill_trigger;

#define WASMILL_AT_EVENT_TIME "eventTime"
#define WASMILL_AT_PROCESSING_TIME "processingTime"
#define WASMILL_AT_COUNT "count"
#define WASMILL_EVERY_EVENT_TIME "continuousEventTime"
#define WASMILL_EVERY_PROCESSING_TIME "continuousProcessingTime"
#define WASMILL_AT_DELTA "delta"

typedef struct wasmill_evictor {
	const char *kind; // NULL: nothing leaves
	int64_t count, keep_ms;
	const char *threshold, *field;
	bool after; // behind the window function
	const char *function; // for wasmill.h
} wasmill_evictor;

#define WASMILL_EVICT_COUNT "count"
#define WASMILL_EVICT_TIME "time"
#define WASMILL_EVICT_DELTA "delta"

struct wasmill_time_window {
	int64_t size_ms, slide_ms, offset_ms, gap_ms, lateness_ms;
	int64_t count, count_slide;
	bool processing_time; // by the time at which records are processed, not by their event time
	bool all;             // of a join whose inputs end: all that they have, whatever its times
	bool global;          // one window of all records of a key: it has no end, and needs a trigger
	wasmill_trigger trigger;
	wasmill_evictor evictor;
	const char *gap; // for wasmill.h: the function of wasmill_session_by
	bool sliding;    // for wasmill.h: slide_ms was said
};

struct wasmill_keyed {
	wasmill_job *job;
	wasmill__operator *op;
	wasmill_time_window window; // of size and gap 0: none
	bool all;                   // one subtask has all records
};

// wasmill_connector is a system to read from or write to, with its settings.
typedef struct wasmill_connector {
	const char *type, *name;
	bool timestamps; // a source that gives its records event times
	int64_t out_of_order_ms;
	const char *output; // codec of a source's records, NULL: utf8
	uint32_t count;
	struct {
		const char *key, *value;
	} settings[12];
} wasmill_connector;

// WASMILL_JOB names the job and begins the function that defines it.
#define WASMILL_JOB(job_name)                                      \
	static const char *wasmill__job_name(void) { return job_name; } \
	static void wasmill__define(wasmill_job *job)

static const char *wasmill__job_name(void);
static void wasmill__define(wasmill_job *job);

// Parameters are declared by being read. A missing one reads as empty, or as the default.
WASMILL__SMALL const char *wasmill_param(wasmill_job *job, const char *name, const char *doc);
WASMILL__SMALL const char *wasmill_param_or(wasmill_job *job, const char *name, const char *value, const char *doc);
WASMILL__SMALL int64_t wasmill_param_i64(wasmill_job *job, const char *name, const char *doc);
WASMILL__SMALL int64_t wasmill_param_i64_or(wasmill_job *job, const char *name, int64_t value, const char *doc);
static inline bool wasmill_same(const char *a, const char *b); // whether two strings are equal

// wasmill_refuse refuses the definition: the job does not start, and the submission says problem.
WASMILL__SMALL void wasmill_refuse(wasmill_job *job, const char *problem);
WASMILL__SMALL void wasmill_refuse_param(wasmill_job *job, const char *name, const char *value, const char *expected);

WASMILL__SMALL wasmill_connector wasmill_files(const char *path);                        // lines of files, a path or glob
WASMILL__SMALL wasmill_connector wasmill_offset_timestamps(wasmill_connector files);     // a line's event time is its offset
WASMILL__SMALL wasmill_connector wasmill_row_files(const char *path, const char *format, const char *codec); // rows; settings header, delimiter, names, quotedNewlines
WASMILL__SMALL wasmill_connector wasmill_field_timestamps(wasmill_connector files, const char *fields, int64_t out_of_order_ms);
WASMILL__SMALL wasmill_connector wasmill_generator(void);                                // settings count, rate, seed, size
WASMILL__SMALL wasmill_connector wasmill_nexmark(const char *kind, const char *codec, int64_t out_of_order_ms); // events of the benchmark; settings path, limit, events ...
WASMILL__SMALL wasmill_connector wasmill_file_sink(const char *directory);               // settings format, times, header, delimiter, compression, columns, partition, rollSize, rollInterval, updates
WASMILL__SMALL wasmill_connector wasmill_print(void);
WASMILL__SMALL wasmill_connector wasmill_blackhole(void);                                // setting rate
WASMILL__SMALL wasmill_connector wasmill_with(wasmill_connector c, const char *key, const char *value);
WASMILL__SMALL wasmill_connector wasmill_with_i64(wasmill_connector c, const char *key, int64_t value);

WASMILL__SMALL wasmill_stream wasmill_source(wasmill_job *job, wasmill_connector from);
WASMILL__SMALL wasmill_stream wasmill_map(wasmill_stream in, const char *name, wasmill_map_fn f, const char *codec);
WASMILL__SMALL wasmill_stream wasmill_filter(wasmill_stream in, const char *name, wasmill_filter_fn f);
WASMILL__SMALL wasmill_stream wasmill_flat_map(wasmill_stream in, const char *name, wasmill_flat_map_fn f, const char *codec);
WASMILL__SMALL wasmill_stream wasmill_assign_timestamps(wasmill_stream in, const char *name, wasmill_timestamp_fn f, int64_t out_of_order_ms);

// wasmill_assign_watermarks is wasmill_assign_timestamps with watermarks that the function says.
WASMILL__SMALL wasmill_stream wasmill_assign_watermarks(wasmill_stream in, const char *name, wasmill_watermark_fn f);

// wasmill_idleness says of a source with event times, or of what a timestamp function returns, that a split or channel that has
// had nothing for so long, though it was asked, holds the watermark back no longer, until it has a record again. Without it, it
// does for ever. Splits that end are never idle.
WASMILL__SMALL wasmill_stream wasmill_idleness(wasmill_stream in, int64_t after_ms);
// wasmill_alignment has the source be of a group of sources that do not run away from each other: a split that is further ahead of
// the slowest of the group is not read until that has come nearer. Idle splits hold nobody up.
WASMILL__SMALL wasmill_stream wasmill_alignment(wasmill_stream in, const char *group, int64_t max_drift_ms);
WASMILL__SMALL wasmill_stream wasmill_union(const wasmill_stream *streams, uint32_t n);
// How the records of a stream get to the subtasks of the next operator. Without one of them: by key behind a key function,
// staying in their subtask where both operators have one parallelism, else dealt out in turn.
WASMILL__SMALL wasmill_stream wasmill_rebalance(wasmill_stream in); // dealt out in turn, a batch at a time
WASMILL__SMALL wasmill_stream wasmill_shuffle(wasmill_stream in);   // dealt out by chance
WASMILL__SMALL wasmill_stream wasmill_rescale(wasmill_stream in);   // dealt out in turn to a part of them, which each subtask has to itself, or shares one
WASMILL__SMALL wasmill_stream wasmill_broadcast(wasmill_stream in); // to all
WASMILL__SMALL wasmill_stream wasmill_global(wasmill_stream in);    // to the first
WASMILL__SMALL wasmill_stream wasmill_forward(wasmill_stream in);   // staying in their subtask
WASMILL__SMALL wasmill_stream wasmill_partition_custom(wasmill_stream in, const char *name, wasmill_partition_fn f); // as f says
WASMILL__SMALL wasmill_stream wasmill_sink_to(wasmill_stream in, wasmill_connector to);

WASMILL__SMALL wasmill_keyed wasmill_key_by(wasmill_stream in, const char *name, wasmill_key_fn f, const char *codec);
WASMILL__SMALL wasmill_keyed wasmill_key_value_by(wasmill_stream in, const char *name, wasmill_key_value_fn f, const char *key_codec, const char *value_codec);
static inline wasmill_time_window wasmill_tumbling(int64_t size_ms) { return (wasmill_time_window){.size_ms = size_ms}; }
static inline wasmill_time_window wasmill_all_time(void) { return (wasmill_time_window){.all = true}; } // of a join, whose results have no event time then
static inline wasmill_time_window wasmill_sliding(int64_t size_ms, int64_t slide_ms) {
	return (wasmill_time_window){.size_ms = size_ms, .slide_ms = slide_ms, .sliding = true};
}
static inline wasmill_time_window wasmill_session(int64_t gap_ms) { return (wasmill_time_window){.gap_ms = gap_ms}; }
static inline wasmill_time_window wasmill_count_window(int64_t count) { return (wasmill_time_window){.count = count}; }
static inline wasmill_time_window wasmill_global_window(wasmill_trigger trigger) {
	return (wasmill_time_window){.global = true, .trigger = trigger};
}
// One window of all records of a key, whose input must end: it has its result then.
static inline wasmill_time_window wasmill_full_window(void) {
	return wasmill_global_window((wasmill_trigger){.kind = WASMILL_AT_EVENT_TIME, .purging = true}); // event time ends with the input
}
WASMILL__SMALL wasmill_keyed wasmill_window(wasmill_keyed in, wasmill_time_window w);

// Sessions with a longer silence behind a record than gap says of it, in milliseconds above 0.
typedef int64_t (*wasmill_gap_fn)(const wasmill_record *);
WASMILL__SMALL wasmill_keyed wasmill_session_by(wasmill_keyed in, const char *name, wasmill_gap_fn gap);

// A trigger of your own, of a stream that has a window. It is asked about each record that a window takes, about each timer that it
// has set for the window, and where sessions have become one: wasmill_merged tells the values that a state had in them, of which
// only what is put stays, and their timers are gone. Its states are values of a key in one window.
typedef enum wasmill_decision { WASMILL_CONTINUE, WASMILL_FIRE, WASMILL_PURGE, WASMILL_FIRE_AND_PURGE } wasmill_decision;
typedef struct wasmill_trigger_function {
	wasmill_decision (*record)(wasmill_context *, const wasmill_record *);
	wasmill_decision (*timer)(wasmill_context *, wasmill_clock, int64_t time); // NULL: none are set
	void (*merged)(wasmill_context *);                                        // NULL: nothing is to be done
	wasmill_state states[WASMILL_MAX_STATES];
} wasmill_trigger_function;
static wasmill_keyed wasmill_trigger_by(wasmill_keyed in, const char *name, wasmill_trigger_function f);
static uint32_t wasmill_merged(const wasmill_context *c, uint32_t state, wasmill_bytes *values, uint32_t room); // how many there are

// An evictor of your own: it sets stay for those of the n records that a window has which stay. They all come with the call.
typedef void (*wasmill_evict_fn)(const wasmill_group *window, const wasmill_record *records, uint32_t n, bool *stay);
WASMILL__SMALL wasmill_keyed wasmill_evict_by(wasmill_keyed in, const char *name, bool after, wasmill_evict_fn f);

// Window functions: over all records of a window, or over what an aggregator has made of them. They keep state and need a uid.
static wasmill_stream wasmill_process_window(wasmill_keyed in, const char *name, wasmill_processor p);
static wasmill_stream wasmill_aggregate_window_with(wasmill_keyed in, const char *name, wasmill_aggregator a, wasmill_processor p);

// What a window has in the order that compare tells, which answers above 0 for two that are to change places; others stay in the order in
// which they came. It must fit in the guest's memory. It is a wasmill_process_window.
typedef int (*wasmill_compare_fn)(wasmill_bytes a, wasmill_bytes b);
static wasmill_stream wasmill_sort_window(wasmill_keyed in, const char *name, wasmill_compare_fn compare);

// All records cut into windows, whatever their key would be: one subtask has them all.
WASMILL__SMALL wasmill_keyed wasmill_window_all(wasmill_stream in, const char *name, wasmill_time_window w);

// Results are rows: row(key, value), or row(start: ms, end: ms, key, value) with a window; those of reduce_to are what
// its result function makes. All four keep state and need a uid.
WASMILL__SMALL wasmill_stream wasmill_count(wasmill_keyed in);
WASMILL__SMALL wasmill_stream wasmill_sum(wasmill_keyed in); // of values of codec i64 or f64
WASMILL__SMALL wasmill_stream wasmill_reduce(wasmill_keyed in, const char *name, wasmill_reduce_fn f);
WASMILL__SMALL wasmill_stream wasmill_reduce_to(wasmill_keyed in, const char *name, wasmill_reduce_fn f, wasmill_result_fn result, const char *codec);
WASMILL__SMALL wasmill_stream wasmill_aggregate(wasmill_keyed in, const char *name, wasmill_aggregator a);


// What follows is over fields of values that are rows, "a.b" being b in the row a: the host computes it, no record enters the
// guest. Names, operations and constants are string literals; what they may be stands in abi/README.md.
//
//	wasmill_stream large = wasmill_where(bids, "large", WASMILL_IS("price", ">=", "10000"));
//	wasmill_keyed auctions = wasmill_key_by_fields(large, "auction", WASMILL_I64, "\"auction\"");
//	wasmill_aggregates(auctions, "row(key: i64, bids: i64, most: i64)", WASMILL_AGG("bids", "count", "") "," WASMILL_AGG("most", "max", "price"));
#define WASMILL_IS(field, op, constant) "{\"op\":\"" op "\",\"field\":\"" field "\",\"values\":[\"" constant "\"]}"
#define WASMILL_AND(a, b) "{\"op\":\"and\",\"of\":[" a "," b "]}"
#define WASMILL_OR(a, b) "{\"op\":\"or\",\"of\":[" a "," b "]}"
#define WASMILL_AGG(name, kind, field) "{\"name\":\"" name "\",\"kind\":\"" kind "\",\"field\":\"" field "\"}"
#define WASMILL_AGG_IF(name, kind, field, predicate) "{\"name\":\"" name "\",\"kind\":\"" kind "\",\"field\":\"" field "\",\"filter\":" predicate "}"
// Of equal ones that whose field then is smaller, text by its bytes; several fields are "at" WASMILL_THEN "channel". Kinds that keep
// a record have it: minBy, maxBy, first, last, and top.
#define WASMILL_AGG_THEN(name, kind, field, then) "{\"name\":\"" name "\",\"kind\":\"" kind "\",\"field\":\"" field "\",\"then\":[\"" then "\"]}"
#define WASMILL_TOP_THEN(name, n, field, then) "{\"name\":\"" name "\",\"kind\":\"top\",\"field\":\"" field "\",\"n\":" #n ",\"then\":[\"" then "\"]}"
#define WASMILL_THEN "\",\""
#define WASMILL_TOP(name, n, field) "{\"name\":\"" name "\",\"kind\":\"top\",\"field\":\"" field "\",\"n\":" #n "}"
WASMILL__SMALL wasmill_stream wasmill_where(wasmill_stream in, const char *name, const char *predicate);
#define wasmill_key_by_fields(in, name, codec, fields) wasmill__key_by_fields(in, name, codec, "[" fields "]")
#define wasmill_aggregates(in, codec, list) wasmill__aggregates(in, codec, "[" list "]") // keeps state and needs a uid
WASMILL__SMALL wasmill_keyed wasmill__key_by_fields(wasmill_stream in, const char *name, const char *codec, const char *fields);
WASMILL__SMALL wasmill_stream wasmill__aggregates(wasmill_keyed in, const char *codec, const char *list);

// Process functions keep state and need a uid, too.
WASMILL__SMALL wasmill_stream wasmill_process(wasmill_keyed in, const char *name, wasmill_processor p);
WASMILL__SMALL wasmill_stream wasmill_co_process(wasmill_keyed in, wasmill_keyed other, const char *name, wasmill_processor p); // keys of one codec
// Without key they have neither timers nor state of a key, only lists of the operator; with none of these they need no uid.
WASMILL__SMALL wasmill_stream wasmill_process_stream(wasmill_stream in, const char *name, wasmill_processor p);
WASMILL__SMALL wasmill_stream wasmill_co_process_streams(wasmill_stream in, wasmill_stream other, const char *name, wasmill_processor p);

// The first n records of each key to come, or of all, in one subtask; and the first of each key, or of those that are equal. What is
// behind them is dropped. They keep state and need a uid.
static wasmill_stream wasmill_first(wasmill_keyed in, const char *name, uint32_t n);
static wasmill_stream wasmill_first_of_all(wasmill_stream in, const char *name, uint32_t n);
static wasmill_stream wasmill_distinct(wasmill_keyed in, const char *name);
static wasmill_stream wasmill_distinct_values(wasmill_stream in, const char *name); // of codec utf8, bytes, i64 or f64

// A function over all records that a subtask has, whose input must end: begin, process for each of them, end. What it makes of them
// meanwhile may lie in static variables, which are its own: begin sets them. It has no states. In streaming mode the host keeps
// the records until the input has ended: it needs a uid.
WASMILL__SMALL wasmill_stream wasmill_map_partition(wasmill_stream in, const char *name, wasmill_processor p);
// One of all records that a subtask has, two at a time; a subtask without records has none. And what an aggregator makes of them, which
// merges nothing here. They need a uid, too.
static wasmill_stream wasmill_reduce_partition(wasmill_stream in, const char *name, wasmill_reduce_fn f);
static wasmill_stream wasmill_aggregate_partition(wasmill_stream in, const char *name, wasmill_aggregator a);

// The records that each subtask has in the order of the keys that they were given, which deal out nothing here; the input must end.
// Of a key that is a row, order says it of each field: the first one goes before the second. It needs a uid.
//
//	wasmill_keyed by = wasmill_key_by_fields(bids, "by", NULL, "\"price\",\"at\"");
//	wasmill_stream sorted = wasmill_sort_partition(by, "sorted", "\"desc\",\"asc\"");
// wasmill_partition_range gives each subtask of the next operator a range of the keys, about as many records to each, the later subtasks
// the larger keys: in batch mode only, where the host samples the keys first.
WASMILL__SMALL wasmill_stream wasmill_partition_range(wasmill_keyed in, const char *name);
#define wasmill_sort_partition(in, name, order) wasmill__sort_partition(in, name, "[" order "]")
WASMILL__SMALL wasmill_stream wasmill__sort_partition(wasmill_keyed in, const char *name, const char *order);

// A process function over a stream, keyed or not, and one that is broadcast: every subtask has all records of that, in
// process_other, where there is no key, and they change its broadcast states, which can only be read elsewhere.
WASMILL__SMALL wasmill_stream wasmill_broadcast_process(wasmill_keyed in, wasmill_stream broadcast, const char *name, wasmill_processor p);
WASMILL__SMALL wasmill_stream wasmill_broadcast_process_stream(wasmill_stream in, wasmill_stream broadcast, const char *name, wasmill_processor p);

// wasmill_interval is how far behind a record of the left input the event time of one of the right may be. Both ends belong to
// it, unless they are exclusive; either may be negative. An interval without bounds is refused: same_time says that both are 0.
typedef struct wasmill_interval {
	int64_t lower_ms, upper_ms;
	bool lower_exclusive, upper_exclusive;
	bool same_time;
} wasmill_interval;

// An interval join has records of two inputs meet that have one key and whose times are so near. It keeps state and needs a uid.
// wasmill_interval_join puts out row(left, right), which the host makes by itself; wasmill_interval_join_to what a function does
// of each two. What comes out has the later of the two times.
WASMILL__SMALL wasmill_stream wasmill_interval_join(wasmill_keyed left, wasmill_keyed right, wasmill_interval between);
WASMILL__SMALL wasmill_stream wasmill_interval_join_to(wasmill_keyed left, wasmill_keyed right, wasmill_interval between, const char *name, wasmill_join_fn f, const char *codec);

// A join in windows has records of two inputs meet that have one key and lie in the same window, which is over when the watermark
// has passed it; of an outer one, records of the left input, the right, or both come out, too, that meet none. It keeps state and
// needs a uid. wasmill_window_join puts out row(left, right), which the host makes by itself, wasmill_window_join_to what a function
// does of each two, and wasmill_co_group_to what one does of all. What comes out has the last time of the window.
typedef enum wasmill_outer { WASMILL_INNER, WASMILL_LEFT_OUTER, WASMILL_RIGHT_OUTER, WASMILL_FULL_OUTER } wasmill_outer;
// How a join of all time is done in batch mode, by the names of abi/README.md: "broadcastHashSecond" ... What comes out is the same.
WASMILL__SMALL wasmill_stream wasmill_join_hint(wasmill_stream joined, const char *hint);
WASMILL__SMALL wasmill_stream wasmill_window_join(wasmill_keyed left, wasmill_keyed right, wasmill_time_window w, wasmill_outer outer);
WASMILL__SMALL wasmill_stream wasmill_window_join_to(wasmill_keyed left, wasmill_keyed right, wasmill_time_window w, wasmill_outer outer, const char *name, wasmill_join_fn f, const char *codec);
static wasmill_stream wasmill_co_group_to(wasmill_keyed left, wasmill_keyed right, wasmill_time_window w, const char *name, wasmill_co_group_fn f, const char *codec);

// A request operator asks the outside about each record, and puts out what its function makes of the answers, with the record's
// time and key. It keeps state and needs a uid.
WASMILL__SMALL wasmill_stream wasmill_async_wait(wasmill_stream in, const char *name, wasmill_async a);
WASMILL__SMALL wasmill_stream wasmill_async_wait_keyed(wasmill_keyed in, const char *name, wasmill_async a);

WASMILL__SMALL wasmill_stream wasmill_side(wasmill_stream s, uint32_t side); // what the process function emits to it
WASMILL__SMALL wasmill_stream wasmill_late(wasmill_stream windowed);         // records that came too late for their window, or left ones for a join
WASMILL__SMALL wasmill_stream wasmill_late_right(wasmill_stream joined);     // right ones

// What becomes of a record, timer or result that a function of the operator traps or fails on, again when it is tried anew.
// Time and memory that run out are never blamed on one: they fail the job. Of a source, it is about input that is no record.
typedef enum wasmill_trap_policy {
	WASMILL_FAIL,        // the job fails, and is restored if it may
	WASMILL_SKIP,        // it is left out
	WASMILL_DEAD_LETTER, // it is left out, and told to who takes wasmill_dead_letters
} wasmill_trap_policy;
WASMILL__SMALL wasmill_stream wasmill_on_trap(wasmill_stream s, wasmill_trap_policy policy);
WASMILL__SMALL wasmill_stream wasmill_dead_letters(wasmill_stream s); // of an operator with WASMILL_DEAD_LETTER; codec WASMILL_LETTER
WASMILL__SMALL wasmill_keyed wasmill_key_on_trap(wasmill_keyed k, wasmill_trap_policy policy); // the same, of a key function
WASMILL__SMALL wasmill_stream wasmill_key_dead_letters(wasmill_keyed k);

WASMILL__SMALL wasmill_stream wasmill_name(wasmill_stream s, const char *name); // of the operator, unique in the job
WASMILL__SMALL wasmill_stream wasmill_uid(wasmill_stream s, const char *uid);   // names its state, across versions of the job

// wasmill_accumulators gives what a reduce or aggregate keeps a schema version above 0, and says how an accumulator of an older one
// (0: none was given) becomes one of it: version, migrate (without a key) and oldest of a state. One that is dropped begins anew.
WASMILL__SMALL wasmill_stream wasmill_accumulators(wasmill_stream s, wasmill_state schema);

WASMILL__SMALL wasmill_stream wasmill_parallelism(wasmill_stream s, uint32_t n); // without it, the operator has the job's
WASMILL__SMALL wasmill_stream wasmill_start_new_chain(wasmill_stream s);  // in another task than the operator before it
WASMILL__SMALL wasmill_stream wasmill_disable_chaining(wasmill_stream s); // in a task of its own

// wasmill_pre_aggregate says whether the records of a count, sum, aggregates, reduce or aggregate are folded before they are sent
// to it. Without it they are where that gives the same result to the bit; with true, sums and averages of f64 are, too.
WASMILL__SMALL wasmill_stream wasmill_pre_aggregate(wasmill_stream s, bool on);
WASMILL__SMALL wasmill_stream wasmill_slot_sharing_group(wasmill_stream s, const char *group); // shares slots with those of the group only

// ---------------------------------------------------------------------------------------------------------------------
// Values

static inline wasmill_bytes wasmill_string(const char *s);
static inline wasmill_bytes wasmill_i64(int64_t v); // 8 bytes of scratch memory
static inline wasmill_bytes wasmill_f64(double v);
static inline wasmill_bytes wasmill_f64_key(double v); // keys have one NaN and no negative zero
static inline int64_t wasmill_as_i64(wasmill_bytes b);
static inline double wasmill_as_f64(wasmill_bytes b);

// Fields of a row of n fields. Text, bytes, decimals, lists and rows are bytes; ms is i64.
static inline bool wasmill_row_null(wasmill_bytes row, uint32_t n, uint32_t i);
static inline int64_t wasmill_row_i64(wasmill_bytes row, uint32_t n, uint32_t i);
static inline double wasmill_row_f64(wasmill_bytes row, uint32_t n, uint32_t i);
static inline wasmill_bytes wasmill_row_bytes(wasmill_bytes row, uint32_t n, uint32_t i);

// wasmill_row builds a row. Fields are set in any order; one that is not set is null.
typedef struct wasmill_row {
	struct wasmill__cell *cells;
	uint32_t n;
} wasmill_row;

static inline wasmill_row wasmill_row_begin(uint32_t n);
static inline void wasmill_row_set_i64(wasmill_row *row, uint32_t i, int64_t v); // also ms, and bool as 0 or 1
static inline void wasmill_row_set_f64(wasmill_row *row, uint32_t i, double v);
static inline void wasmill_row_set_bytes(wasmill_row *row, uint32_t i, wasmill_bytes v); // data NULL: null
static inline wasmill_bytes wasmill_row_end(const wasmill_row *row);                     // in scratch memory

// ---------------------------------------------------------------------------------------------------------------------
// Memory and text. Behind this line begins what a job need not know.

#define WASMILL__NOINLINE static __attribute__((noinline, unused))
#define WASMILL__INLINE static inline __attribute__((always_inline, unused))
#define WASMILL__LIKELY(x) __builtin_expect(!!(x), 1)

#ifdef __wasm__
#define WASMILL__IMPORT(name) __attribute__((import_module("wasmill"), import_name(name)))
#define WASMILL__EXPORT(name) __attribute__((export_name(name), visibility("default")))
WASMILL__IMPORT("emit") void wasmill_host_emit(uint32_t output, const void *data, uint32_t size);
WASMILL__IMPORT("reply") void wasmill_host_reply(const void *data, uint32_t size);
WASMILL__IMPORT("watermark") void wasmill_host_watermark(int64_t ms);
WASMILL__IMPORT("state") uint32_t wasmill_host_state(uint32_t op, const void *requests, uint32_t size, void *answers, uint32_t capacity);
WASMILL__IMPORT("log") void wasmill_host_log(uint32_t level, const void *text, uint32_t size);
WASMILL__IMPORT("metric") void wasmill_host_metric(uint32_t kind, const void *name, uint32_t size, int64_t value);
WASMILL__IMPORT("fail") void wasmill_host_fail(const void *data, uint32_t size);
#else // a native test of a job's functions brings its own host
void wasmill_host_emit(uint32_t output, const void *data, uint32_t size);
void wasmill_host_reply(const void *data, uint32_t size);
void wasmill_host_watermark(int64_t ms);
uint32_t wasmill_host_state(uint32_t op, const void *requests, uint32_t size, void *answers, uint32_t capacity);
void wasmill_host_log(uint32_t level, const void *text, uint32_t size);
void wasmill_host_metric(uint32_t kind, const void *name, uint32_t size, int64_t value);
void wasmill_host_fail(const void *data, uint32_t size);
extern void *malloc(size_t);
#endif

#define WASMILL__NONE UINT32_MAX

// wasmill__memory_end is an address up to which memory can be read for sure.
static uintptr_t wasmill__memory_end;

// wasmill__copy copies n bytes that do not overlap. Wasm has an instruction for it, so that no libc is needed.
#ifdef __wasm__
__attribute__((target("bulk-memory"))) WASMILL__NOINLINE void wasmill__copy(void *dst, const void *src, uint32_t n) {
	__builtin_memcpy(dst, src, n);
}
__attribute__((target("bulk-memory"))) WASMILL__NOINLINE void wasmill__zero(void *dst, uint32_t n) {
	__builtin_memset(dst, 0, n);
}
#else
WASMILL__NOINLINE void wasmill__copy(void *dst, const void *src, uint32_t n) {
	if (n > 0) __builtin_memcpy(dst, src, n);
}
WASMILL__NOINLINE void wasmill__zero(void *dst, uint32_t n) {
	if (n > 0) __builtin_memset(dst, 0, n);
}
#endif

// Unaligned little-endian loads and stores; one instruction each in Wasm.
WASMILL__INLINE uint16_t wasmill__load16(const void *p) { uint16_t v; __builtin_memcpy(&v, p, 2); return v; }
WASMILL__INLINE uint32_t wasmill__load32(const void *p) { uint32_t v; __builtin_memcpy(&v, p, 4); return v; }
WASMILL__INLINE uint64_t wasmill__load64(const void *p) { uint64_t v; __builtin_memcpy(&v, p, 8); return v; }
WASMILL__INLINE void wasmill__store16(void *p, uint16_t v) { __builtin_memcpy(p, &v, 2); }
WASMILL__INLINE void wasmill__store32(void *p, uint32_t v) { __builtin_memcpy(p, &v, 4); }
WASMILL__INLINE void wasmill__store64(void *p, uint64_t v) { __builtin_memcpy(p, &v, 8); }
WASMILL__INLINE uint32_t wasmill__pad8(uint32_t n) { return (n + 7) & ~7u; }

WASMILL__NOINLINE bool wasmill__readable(uintptr_t end) {
#ifdef __wasm__
	wasmill__memory_end = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
#endif
	return end <= wasmill__memory_end;
}

// wasmill__copy_word copies n bytes to a place that has room for 16 more. Most keys and words are shorter than 16 bytes:
// they cost two loads and stores, whatever their length, wherever reading past their end is allowed.
WASMILL__INLINE void wasmill__copy_word(uint8_t *dst, const uint8_t *src, uint32_t n) {
	uintptr_t end = (uintptr_t)src + 16;
	if (WASMILL__LIKELY(n <= 16 && (end <= wasmill__memory_end || wasmill__readable(end)))) {
		uint64_t low = wasmill__load64(src), high = wasmill__load64(src + 8);
		wasmill__store64(dst, low);
		wasmill__store64(dst + 8, high);
		return;
	}
	wasmill__copy(dst, src, n);
}

static uint32_t wasmill__length(const char *s) {
	uint32_t n = 0;
	while (s[n] != 0) n++;
	return n;
}

// The allocator hands out powers of two and takes pages straight from the machine, so that it lives beside any malloc.
static void *wasmill__free_blocks[32];
static uint8_t *wasmill__fresh;
static uint32_t wasmill__fresh_left;

static uint32_t wasmill__class_of(uint32_t size) { return size <= 64 ? 6 : 32 - (uint32_t)__builtin_clz(size - 1); }

WASMILL__NOINLINE void *wasmill__pages(uint32_t size) {
#ifdef __wasm__
	size_t pages = (size + 0xffff) >> 16, at = __builtin_wasm_memory_grow(0, pages);
	if (at == (size_t)-1) __builtin_trap(); // the host knows that it refused the memory
	return (void *)(at << 16);
#else
	return malloc(size);
#endif
}

WASMILL__NOINLINE void *wasmill__alloc(uint32_t size) {
	if (size > 1u << 30) __builtin_trap();
	uint32_t class = wasmill__class_of(size), bytes = 1u << class;
	void *block = wasmill__free_blocks[class];
	if (block != NULL) {
		wasmill__free_blocks[class] = *(void **)block;
		return block;
	}
	if (bytes >= 1u << 16) return wasmill__pages(bytes);
	if (wasmill__fresh_left < bytes) {
		wasmill__fresh = wasmill__pages(1u << 16);
		wasmill__fresh_left = 1u << 16;
	}
	block = wasmill__fresh;
	wasmill__fresh += bytes;
	wasmill__fresh_left -= bytes;
	return block;
}

static void wasmill__free(void *block, uint32_t size) {
	if (block == NULL) return;
	uint32_t class = wasmill__class_of(size);
	*(void **)block = wasmill__free_blocks[class];
	wasmill__free_blocks[class] = block;
}

static void *wasmill__alloc_zero(uint32_t size) {
	void *p = wasmill__alloc(size);
	wasmill__zero(p, size);
	return p;
}

// wasmill__buffer is bytes that grow and keep their memory.
typedef struct wasmill__buffer {
	uint8_t *data;
	uint32_t size, capacity;
} wasmill__buffer;

// wasmill__room makes room for n bytes behind the end and returns their place.
static uint8_t *wasmill__room(wasmill__buffer *b, uint32_t n) {
	if (n > b->capacity - b->size) {
		if (n > (1u << 30) - b->size) __builtin_trap();
		uint32_t capacity = 1u << wasmill__class_of(b->size + n);
		uint8_t *data = wasmill__alloc(capacity);
		wasmill__copy(data, b->data, b->size);
		wasmill__free(b->data, b->capacity);
		b->data = data;
		b->capacity = capacity;
	}
	return b->data + b->size;
}

WASMILL__SMALL void wasmill__append(wasmill__buffer *b, const void *data, uint32_t n) {
	wasmill__copy(wasmill__room(b, n), data, n);
	b->size += n;
}

WASMILL__SMALL void wasmill__append_string(wasmill__buffer *b, const char *s) { wasmill__append(b, s, wasmill__length(s)); }

WASMILL__SMALL void wasmill__append_i64(wasmill__buffer *b, int64_t v) {
	char digits[20];
	uint32_t n = 0;
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do digits[sizeof digits - ++n] = (char)('0' + left % 10);
	while ((left /= 10) != 0);
	if (v < 0) wasmill__append(b, "-", 1);
	wasmill__append(b, digits + sizeof digits - n, n);
}

// wasmill__arena gives memory that is taken back all at once. An allocation that does not fit its block gets one of its
// own, which is freed then.
typedef struct wasmill__extra {
	struct wasmill__extra *next;
	uint32_t size;
} wasmill__extra;

typedef struct wasmill__arena {
	uint8_t *block, *at, *end;
	wasmill__extra *extra;
} wasmill__arena;

#define WASMILL__ARENA_BYTES (1u << 15)

WASMILL__NOINLINE void *wasmill__take_slow(wasmill__arena *a, uint32_t size) {
	if (a->block == NULL) {
		a->block = a->at = wasmill__alloc(WASMILL__ARENA_BYTES);
		a->end = a->block + WASMILL__ARENA_BYTES;
		if (size <= WASMILL__ARENA_BYTES) {
			a->at += size;
			return a->block;
		}
	}
	if (size > 1u << 30) __builtin_trap();
	uint32_t bytes = size < WASMILL__ARENA_BYTES / 2 ? WASMILL__ARENA_BYTES : size + 16;
	wasmill__extra *e = wasmill__alloc(bytes);
	e->next = a->extra;
	e->size = bytes;
	a->extra = e;
	if (bytes > WASMILL__ARENA_BYTES || size >= WASMILL__ARENA_BYTES / 2) return (uint8_t *)e + 16;
	a->at = (uint8_t *)e + 16 + size; // small ones go on in the new block
	a->end = (uint8_t *)e + bytes;
	return (uint8_t *)e + 16;
}

WASMILL__INLINE void *wasmill__take(wasmill__arena *a, uint32_t size) {
	size = wasmill__pad8(size);
	if (WASMILL__LIKELY(size <= (uint32_t)(a->end - a->at) && a->block != NULL)) {
		void *p = a->at;
		a->at += size;
		return p;
	}
	return wasmill__take_slow(a, size);
}

WASMILL__NOINLINE void wasmill__rewind_extra(wasmill__arena *a) {
	while (a->extra != NULL) {
		wasmill__extra *e = a->extra;
		a->extra = e->next;
		wasmill__free(e, e->size);
	}
	a->end = a->block + WASMILL__ARENA_BYTES;
}

WASMILL__INLINE void wasmill__rewind(wasmill__arena *a) {
	a->at = a->block;
	if (!WASMILL__LIKELY(a->extra == NULL)) wasmill__rewind_extra(a);
}

static wasmill__arena wasmill__scratch_arena; // rewound before every record
static wasmill__arena wasmill__job_arena;     // rewound before every definition

static inline void *wasmill_scratch(uint32_t size) { return wasmill__take(&wasmill__scratch_arena, size); }

static void *wasmill__make(uint32_t size) {
	void *p = wasmill__take(&wasmill__job_arena, size);
	wasmill__zero(p, size);
	return p;
}

// wasmill__joined returns the strings, up to a NULL, as one.
WASMILL__SMALL const char *wasmill__joined(const char *const *parts) {
	wasmill__buffer b = {0};
	for (; *parts != NULL; parts++) wasmill__append_string(&b, *parts);
	char *s = wasmill__make(b.size + 1);
	wasmill__copy(s, b.data, b.size);
	wasmill__free(b.data, b.capacity);
	return s;
}
#define WASMILL__JOINED(...) wasmill__joined((const char *const[]){__VA_ARGS__, NULL})

static bool wasmill__equal(const uint8_t *a, const uint8_t *b, uint32_t n) {
	while (n > 0 && *a == *b) a++, b++, n--;
	return n == 0;
}

static inline bool wasmill_same(const char *a, const char *b) {
	while (*a != 0 && *a == *b) a++, b++;
	return *a == *b;
}

WASMILL__SMALL const char *wasmill__number(int64_t v) {
	wasmill__buffer b = {0};
	wasmill__append_i64(&b, v);
	wasmill__append(&b, "", 1);
	char *s = wasmill__make(b.size);
	wasmill__copy(s, b.data, b.size);
	wasmill__free(b.data, b.capacity);
	return s;
}

static inline wasmill_bytes wasmill_string(const char *s) { return (wasmill_bytes){(const uint8_t *)s, wasmill__length(s)}; }

static inline wasmill_bytes wasmill_i64(int64_t v) {
	uint8_t *p = wasmill_scratch(8);
	wasmill__store64(p, (uint64_t)v);
	return (wasmill_bytes){p, 8};
}

static inline wasmill_bytes wasmill_f64(double v) {
	uint64_t bits;
	__builtin_memcpy(&bits, &v, 8);
	return wasmill_i64((int64_t)bits);
}

static inline wasmill_bytes wasmill_f64_key(double v) {
	if (v != v) return wasmill_i64(0x7ff8000000000000);
	return wasmill_f64(v == 0 ? 0.0 : v);
}

static inline int64_t wasmill_as_i64(wasmill_bytes b) {
	if (b.size != 8) {
		wasmill_fail("a number that has not 8 bytes");
		return 0;
	}
	return (int64_t)wasmill__load64(b.data);
}

static inline double wasmill_as_f64(wasmill_bytes b) {
	int64_t bits = wasmill_as_i64(b);
	double v;
	__builtin_memcpy(&v, &bits, 8);
	return v;
}

// A row: null bitmap padded to 8 bytes, a slot of 8 bytes a field, variable parts padded to 8 bytes each.
struct wasmill__cell {
	enum { WASMILL__NULL, WASMILL__IN_PLACE, WASMILL__VARIABLE } kind;
	uint64_t slot;
	wasmill_bytes part;
};

static uint32_t wasmill__null_bytes(uint32_t n) { return (n + 63) / 64 * 8; }

static const uint8_t *wasmill__slot(wasmill_bytes row, uint32_t n, uint32_t i) {
	uint32_t at = wasmill__null_bytes(n) + 8 * i;
	static const uint8_t zeros[8];
	if (i < n && at + 8 <= row.size) return row.data + at;
	wasmill_fail("a row that has not the fields that are asked for");
	return zeros;
}

static inline bool wasmill_row_null(wasmill_bytes row, uint32_t n, uint32_t i) {
	wasmill__slot(row, n, i);
	return i / 8 < row.size && (row.data[i / 8] >> (i % 8) & 1) != 0;
}

static inline int64_t wasmill_row_i64(wasmill_bytes row, uint32_t n, uint32_t i) {
	return (int64_t)wasmill__load64(wasmill__slot(row, n, i));
}

static inline double wasmill_row_f64(wasmill_bytes row, uint32_t n, uint32_t i) {
	double v;
	__builtin_memcpy(&v, wasmill__slot(row, n, i), 8);
	return v;
}

static inline wasmill_bytes wasmill_row_bytes(wasmill_bytes row, uint32_t n, uint32_t i) {
	const uint8_t *slot = wasmill__slot(row, n, i);
	uint32_t at = wasmill__load32(slot), size = wasmill__load32(slot + 4);
	if (wasmill_row_null(row, n, i)) return (wasmill_bytes){NULL, 0};
	if (at > row.size || size > row.size - at) {
		wasmill_fail("a row whose field lies outside of it");
		return (wasmill_bytes){row.data, 0};
	}
	return (wasmill_bytes){row.data + at, size};
}

static inline wasmill_row wasmill_row_begin(uint32_t n) {
	wasmill_row row = {wasmill_scratch(n * (uint32_t)sizeof(struct wasmill__cell)), n};
	for (uint32_t i = 0; i < n; i++) row.cells[i].kind = WASMILL__NULL;
	return row;
}

static void wasmill__set(wasmill_row *row, uint32_t i, struct wasmill__cell cell) {
	if (i >= row->n) __builtin_trap();
	row->cells[i] = cell;
}

static inline void wasmill_row_set_i64(wasmill_row *row, uint32_t i, int64_t v) {
	wasmill__set(row, i, (struct wasmill__cell){.kind = WASMILL__IN_PLACE, .slot = (uint64_t)v});
}

static inline void wasmill_row_set_f64(wasmill_row *row, uint32_t i, double v) {
	uint64_t bits;
	__builtin_memcpy(&bits, &v, 8);
	wasmill_row_set_i64(row, i, (int64_t)bits);
}

static inline void wasmill_row_set_bytes(wasmill_row *row, uint32_t i, wasmill_bytes v) {
	wasmill__set(row, i, (struct wasmill__cell){.kind = v.data == NULL ? WASMILL__NULL : WASMILL__VARIABLE, .part = v});
}

static inline wasmill_bytes wasmill_row_end(const wasmill_row *row) {
	uint32_t n = row->n, nulls = wasmill__null_bytes(n), at = nulls + 8 * n, size = at;
	for (uint32_t i = 0; i < n; i++) {
		if (row->cells[i].kind == WASMILL__VARIABLE) size += wasmill__pad8(row->cells[i].part.size);
	}
	uint8_t *p = wasmill_scratch(size);
	wasmill__zero(p, nulls);
	for (uint32_t i = 0; i < n; i++) {
		const struct wasmill__cell *c = &row->cells[i];
		uint64_t slot = c->slot;
		if (c->kind == WASMILL__NULL) {
			p[i / 8] |= (uint8_t)(1u << (i % 8));
			slot = 0;
		} else if (c->kind == WASMILL__VARIABLE) {
			slot = at | (uint64_t)c->part.size << 32;
			uint32_t padded = wasmill__pad8(c->part.size);
			if (padded > 0) wasmill__store64(p + at + padded - 8, 0);
			wasmill__copy(p + at, c->part.data, c->part.size);
			at += padded;
		}
		wasmill__store64(p + nulls + 8 * i, slot);
	}
	return (wasmill_bytes){p, size};
}

// ---------------------------------------------------------------------------------------------------------------------
// The definition, and the manifest that the host reads

typedef enum wasmill__kind {
	WASMILL__SOURCE, WASMILL__MAP, WASMILL__FILTER, WASMILL__FLAT_MAP, WASMILL__KEY, WASMILL__TIMESTAMP, WASMILL__UNION,
	WASMILL__COUNT, WASMILL__SUM, WASMILL__AGGREGATES, WASMILL__SORT_PARTITION, WASMILL__REDUCE, WASMILL__AGGREGATE, WASMILL__PROCESS, WASMILL__MAP_PARTITION, WASMILL__JOIN, WASMILL__REQUEST,
	WASMILL__WINDOW, WASMILL__TRIGGER, WASMILL__EVICT, WASMILL__GAP, WASMILL__PARTITION, WASMILL__SAMPLE, WASMILL__RANGE, WASMILL__SINK,
} wasmill__kind;

static const char *const wasmill__kind_names[] = {
	"source", "map", "filter", "flatMap", "key", "timestamp", "union", "count", "sum", "aggregates", "sortPartition", "reduce", "aggregate", "process", "mapPartition", "join", "request",
	"window", "trigger", "evict", "gap", "partition", "sample", "range", "sink",
};

static bool wasmill__keyed_kind(wasmill__kind kind) { return kind >= WASMILL__REDUCE && kind <= WASMILL__PARTITION; }

// wasmill__function is an elementary function. Which pointers are set depends on the kind.
struct wasmill__node;
struct wasmill__group;
struct wasmill__json;
typedef struct wasmill__function {
	struct wasmill__function *next;
	uint32_t id;
	wasmill__kind kind;
	const char *name, *input, *other, *key, *accumulator, *output; // codecs; other: of a second input
	wasmill_map_fn map;
	wasmill_filter_fn filter;
	wasmill_flat_map_fn flat_map;
	wasmill_key_fn key_of;
	wasmill_key_value_fn key_value;
	wasmill_timestamp_fn timestamp;
	wasmill_watermark_fn watermark; // in its place
	wasmill_partition_fn partition;
	wasmill_join_fn join;
	wasmill_co_group_fn co_group;
	wasmill_trigger_function trigger;
	wasmill_evict_fn evict;
	wasmill_gap_fn gap;
	wasmill_reduce_fn reduce;
	wasmill_result_fn result; // of a reduce_to; NULL: a row of key and value
	wasmill_aggregator aggregator;
	wasmill_processor processor;
	uint32_t first; // of wasmill_first
	wasmill_compare_fn compare; // of wasmill_sort_window
	struct wasmill__value *all; // of a reduce or aggregate of a partition: what the records amount to
	uint32_t n_sides, n_states;
	// What only process functions and co-groups need is reached from here, so that a module without them does not import state.
	void (*run_process)(struct wasmill__node *, uint32_t verb, const struct wasmill__group *);
	void (*end_process)(void);
	// The same for request functions.
	wasmill_async async;
	void (*run_request)(struct wasmill__node *, uint32_t verb, const struct wasmill__group *);
	void (*write_requests)(struct wasmill__json *, const wasmill_async *);
} wasmill__function;

struct wasmill__operator {
	wasmill__operator *next;
	wasmill_job *job;
	const char *name, *uid;
	bool named; // the user chose the name; otherwise it may get a number
	wasmill__kind kind;
	wasmill__function *function;
	uint32_t n_inputs;
	wasmill_stream *inputs;
	wasmill_connector connector;
	wasmill_time_window window; // of size 0: none
	wasmill_interval interval;  // of a join without window
	wasmill_outer outer;        // of one with
	bool watermarks, reports; // reports: the function says what the watermark is
	int64_t out_of_order_ms, idle_ms, drift_ms;
	const char *align_group; // NULL: none
	uint32_t parallelism;
	const char *key, *output; // codecs
	wasmill_trap_policy on_trap;
	const char *chaining, *slot_group, *pre_aggregate, *hint; // NULL: the host's choice
	const char *fields, *predicate, *aggregates, *order; // JSON; NULL: none
	wasmill__operator *before; // one that has the same parallelism, NULL: there is none
};

typedef struct wasmill__param {
	struct wasmill__param *next;
	const char *name, *fallback, *doc;
	bool required;
} wasmill__param;

struct wasmill_job {
	const uint8_t *given; // the parameters as the host gave them
	uint32_t given_size;
	wasmill__param *params, **last_param;
	wasmill__function *functions, **last_function;
	wasmill__operator *operators, **last_operator;
	uint32_t function_count;
	const char *problems; // NULL: none
};

WASMILL__SMALL void wasmill_refuse(wasmill_job *job, const char *problem) {
	job->problems = job->problems == NULL ? problem : WASMILL__JOINED(job->problems, "; ", problem);
}

WASMILL__SMALL void wasmill_refuse_param(wasmill_job *job, const char *name, const char *value, const char *expected) {
	wasmill_refuse(job, WASMILL__JOINED("parameter \"", name, "\": \"", value, "\" (expected ", expected, ")"));
}

// wasmill__given returns the value of a parameter, NULL when it was not given:
// u32 count, u32 zero, then u32 name length, u32 value length, name, value, padded to 8.
WASMILL__SMALL const char *wasmill__given(const wasmill_job *job, const char *name) {
	uint32_t length = wasmill__length(name), at = 8;
	if (job->given_size < 8) return NULL;
	for (uint32_t left = wasmill__load32(job->given); left > 0 && at + 8 <= job->given_size; left--) {
		const uint8_t *p = job->given + at;
		uint32_t names = wasmill__load32(p), values = wasmill__load32(p + 4);
		if (names == length && wasmill__equal(p + 8, (const uint8_t *)name, length)) {
			char *value = wasmill__make(values + 1);
			wasmill__copy(value, p + 8 + names, values);
			return value;
		}
		at += wasmill__pad8(8 + names + values);
	}
	return NULL;
}

WASMILL__SMALL const char *wasmill__declare(wasmill_job *job, wasmill__param declared) {
	const char *value = wasmill__given(job, declared.name);
	if (value == NULL) value = declared.required ? "" : declared.fallback;
	for (wasmill__param *p = job->params; p != NULL; p = p->next) {
		if (wasmill_same(p->name, declared.name)) return value;
	}
	wasmill__param *p = wasmill__make(sizeof *p);
	*p = declared;
	*job->last_param = p;
	job->last_param = &p->next;
	return value;
}

WASMILL__SMALL const char *wasmill_param(wasmill_job *job, const char *name, const char *doc) {
	return wasmill__declare(job, (wasmill__param){.name = name, .doc = doc, .required = true});
}

WASMILL__SMALL const char *wasmill_param_or(wasmill_job *job, const char *name, const char *value, const char *doc) {
	return wasmill__declare(job, (wasmill__param){.name = name, .doc = doc, .fallback = value});
}

WASMILL__SMALL int64_t wasmill__parse(wasmill_job *job, const char *name, const char *text) {
	const char *p = text;
	bool negative = *p == '-';
	uint64_t n = 0, limit = (uint64_t)INT64_MAX + negative;
	for (p += negative; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');
		if (n > (limit - digit) / 10) break;
		n = n * 10 + digit;
	}
	if (*p == 0 && p > text + negative) return negative ? (int64_t)(0 - n) : (int64_t)n;
	if (*text != 0 || wasmill__given(job, name) != NULL) {
		wasmill_refuse_param(job, name, text, "a whole number");
	}
	return 0;
}

WASMILL__SMALL int64_t wasmill_param_i64(wasmill_job *job, const char *name, const char *doc) {
	return wasmill__parse(job, name, wasmill_param(job, name, doc));
}

WASMILL__SMALL int64_t wasmill_param_i64_or(wasmill_job *job, const char *name, int64_t value, const char *doc) {
	return wasmill__parse(job, name, wasmill_param_or(job, name, wasmill__number(value), doc));
}

WASMILL__SMALL wasmill_connector wasmill_with(wasmill_connector c, const char *key, const char *value) {
	if (c.count == sizeof c.settings / sizeof c.settings[0]) __builtin_trap();
	c.settings[c.count].key = key;
	c.settings[c.count].value = value;
	c.count++;
	return c;
}

WASMILL__SMALL wasmill_connector wasmill_with_i64(wasmill_connector c, const char *key, int64_t value) {
	return wasmill_with(c, key, wasmill__number(value));
}

WASMILL__SMALL wasmill_connector wasmill_files(const char *path) {
	wasmill_connector c = {.type = "file", .name = "files"};
	return wasmill_with(wasmill_with(c, "format", "lines"), "path", path);
}

WASMILL__SMALL wasmill_connector wasmill_offset_timestamps(wasmill_connector files) {
	files.timestamps = true;
	return wasmill_with(files, "timestamps", "offset");
}

// The fields that codec, a row, names are taken from the records of files, whose format is json, csv, avro or parquet.
WASMILL__SMALL wasmill_connector wasmill_row_files(const char *path, const char *format, const char *codec) {
	wasmill_connector c = {.type = "file", .name = "files", .output = codec};
	return wasmill_with(wasmill_with(c, "format", format), "path", path);
}

// The event time of a row is the first of the fields, "bid.at,auction.at", that is not null.
WASMILL__SMALL wasmill_connector wasmill_field_timestamps(wasmill_connector files, const char *fields, int64_t out_of_order_ms) {
	files.timestamps = true;
	files.out_of_order_ms = out_of_order_ms;
	return wasmill_with(files, "timestamps", fields);
}

WASMILL__SMALL wasmill_connector wasmill_generator(void) {
	return (wasmill_connector){.type = "generator", .name = "generator"};
}

// Events of a kind (person, auction, bid), or with an empty one all of them, as rows of the fields that codec names.
WASMILL__SMALL wasmill_connector wasmill_nexmark(const char *kind, const char *codec, int64_t out_of_order_ms) {
	wasmill_connector c = {.type = "nexmark", .name = "nexmark", .output = codec, .timestamps = true, .out_of_order_ms = out_of_order_ms};
	return wasmill_with(c, "kind", kind);
}

WASMILL__SMALL wasmill_connector wasmill_file_sink(const char *directory) {
	return wasmill_with((wasmill_connector){.type = "file", .name = "files"}, "path", directory);
}

WASMILL__SMALL wasmill_connector wasmill_print(void) { return (wasmill_connector){.type = "print", .name = "print"}; }

WASMILL__SMALL wasmill_connector wasmill_blackhole(void) {
	return (wasmill_connector){.type = "blackhole", .name = "blackhole"};
}

WASMILL__SMALL wasmill_stream wasmill__add(wasmill_job *job, wasmill__operator o, const wasmill_stream *inputs, uint32_t n) {
	wasmill__operator *op = wasmill__make(sizeof *op);
	*op = o;
	op->job = job;
	op->n_inputs = n;
	if (n > 0) op->inputs = wasmill__make(n * (uint32_t)sizeof *inputs);
	for (uint32_t i = 0; i < n; i++) op->inputs[i] = inputs[i];
	*job->last_operator = op;
	job->last_operator = &op->next;
	return (wasmill_stream){.job = job, .op = op};
}

static inline bool wasmill__timed(wasmill_time_window w) { return w.size_ms > 0 || w.gap_ms > 0 || w.gap != NULL; }
static inline bool wasmill__windowed(wasmill_time_window w) { return wasmill__timed(w) || w.count > 0 || w.global || w.all; }

// wasmill__late_sides is how many side outputs an operator has for what the host leaves out of its windows.
WASMILL__SMALL uint32_t wasmill__late_sides(const wasmill__operator *o) {
	if (o->kind == WASMILL__JOIN) return 2;
	return wasmill__windowed(o->window) ? 1 : 0;
}

// wasmill__codec is that of the values of a stream.
WASMILL__SMALL const char *wasmill__codec(wasmill_stream s) {
	const wasmill__operator *o = s.op;
	uint32_t declared = o->function == NULL ? 0 : o->function->n_sides;
	if (s.side == 0) return o->output;
	if (s.side <= declared) return o->function->processor.sides[s.side - 1];
	return s.side <= declared + wasmill__late_sides(o) ? wasmill__codec(o->inputs[s.side - declared - 1]) : WASMILL_LETTER;
}

// wasmill__callable makes a function known, of a kind, over the values of a stream.
WASMILL__SMALL wasmill__function *wasmill__callable(wasmill_stream in, wasmill__kind kind, wasmill__function f) {
	wasmill__function *function = wasmill__make(sizeof *function);
	*function = f;
	function->id = in.job->function_count++;
	function->kind = kind;
	if (function->input == NULL) function->input = wasmill__codec(in);
	*in.job->last_function = function;
	in.job->last_function = &function->next;
	return function;
}

// wasmill__call adds an operator that runs the function f over the first of the inputs, or over both.
WASMILL__SMALL wasmill_stream wasmill__call_all(const wasmill_stream *inputs, uint32_t n, wasmill__operator o, wasmill__function f) {
	wasmill_job *job = inputs[0].job;
	wasmill__function *function = wasmill__callable(inputs[0], o.kind, f);
	if (n > 1) function->other = wasmill__codec(inputs[1]);
	o.function = function;
	o.name = f.name;
	o.named = true;
	o.output = f.output;
	return wasmill__add(job, o, inputs, n);
}

WASMILL__SMALL wasmill_stream wasmill__call(wasmill_stream in, wasmill__operator o, wasmill__function f) {
	return wasmill__call_all(&in, 1, o, f);
}

WASMILL__SMALL wasmill_stream wasmill_source(wasmill_job *job, wasmill_connector from) {
	return wasmill__add(job, (wasmill__operator){.kind = WASMILL__SOURCE, .name = from.name, .connector = from,
		.watermarks = from.timestamps, .out_of_order_ms = from.out_of_order_ms,
		.output = from.output == NULL ? WASMILL_UTF8 : from.output}, NULL, 0);
}

WASMILL__SMALL wasmill_stream wasmill_map(wasmill_stream in, const char *name, wasmill_map_fn f, const char *codec) {
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__MAP}, (wasmill__function){.name = name, .map = f, .output = codec});
}

WASMILL__SMALL wasmill_stream wasmill_filter(wasmill_stream in, const char *name, wasmill_filter_fn f) {
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__FILTER},
		(wasmill__function){.name = name, .filter = f, .output = wasmill__codec(in)});
}

WASMILL__SMALL wasmill_stream wasmill_flat_map(wasmill_stream in, const char *name, wasmill_flat_map_fn f, const char *codec) {
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__FLAT_MAP},
		(wasmill__function){.name = name, .flat_map = f, .output = codec});
}

WASMILL__SMALL wasmill_stream wasmill_assign_timestamps(wasmill_stream in, const char *name, wasmill_timestamp_fn f, int64_t out_of_order_ms) {
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__TIMESTAMP, .watermarks = true, .out_of_order_ms = out_of_order_ms},
		(wasmill__function){.name = name, .timestamp = f, .output = wasmill__codec(in)});
}

WASMILL__SMALL wasmill_stream wasmill_assign_watermarks(wasmill_stream in, const char *name, wasmill_watermark_fn f) {
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__TIMESTAMP, .watermarks = true, .reports = true},
		(wasmill__function){.name = name, .watermark = f, .output = wasmill__codec(in)});
}

WASMILL__SMALL wasmill_stream wasmill_idleness(wasmill_stream in, int64_t after_ms) {
	if (!in.op->watermarks) {
		wasmill_refuse(in.job, WASMILL__JOINED("idleness of ", in.op->name, ": it has no watermarks (expected a source with event times, or a timestamp function)"));
	} else if (after_ms < 1) {
		wasmill_refuse(in.job, WASMILL__JOINED("idleness of ", in.op->name, ": expected >= 1 ms"));
	} else {
		in.op->idle_ms = after_ms;
	}
	return in;
}

WASMILL__SMALL wasmill_stream wasmill_alignment(wasmill_stream in, const char *group, int64_t max_drift_ms) {
	if (!in.op->watermarks) {
		wasmill_refuse(in.job, WASMILL__JOINED("alignment of ", in.op->name, ": it has no watermarks (expected a source with event times, or a timestamp function)"));
	} else if (*group == 0 || max_drift_ms < 1) {
		wasmill_refuse(in.job, WASMILL__JOINED("alignment of ", in.op->name, ": expected the name of a group, and >= 1 ms"));
	} else {
		in.op->align_group = group;
		in.op->drift_ms = max_drift_ms;
	}
	return in;
}

WASMILL__SMALL wasmill_stream wasmill_union(const wasmill_stream *streams, uint32_t n) {
	return wasmill__add(streams[0].job, (wasmill__operator){.kind = WASMILL__UNION, .name = "union", .output = wasmill__codec(streams[0])}, streams, n);
}

WASMILL__SMALL wasmill_stream wasmill__by(wasmill_stream in, const char *partition) {
	in.partition = partition;
	return in;
}

WASMILL__SMALL wasmill_stream wasmill_rebalance(wasmill_stream in) { return wasmill__by(in, "rebalance"); }
WASMILL__SMALL wasmill_stream wasmill_shuffle(wasmill_stream in) { return wasmill__by(in, "shuffle"); }
WASMILL__SMALL wasmill_stream wasmill_rescale(wasmill_stream in) { return wasmill__by(in, "rescale"); }
WASMILL__SMALL wasmill_stream wasmill_broadcast(wasmill_stream in) { return wasmill__by(in, "broadcast"); }
WASMILL__SMALL wasmill_stream wasmill_global(wasmill_stream in) { return wasmill__by(in, "global"); }
WASMILL__SMALL wasmill_stream wasmill_forward(wasmill_stream in) { return wasmill__by(in, "forward"); }

WASMILL__SMALL wasmill_stream wasmill_partition_custom(wasmill_stream in, const char *name, wasmill_partition_fn f) {
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__PARTITION, .parallelism = in.op->parallelism},
		(wasmill__function){.name = name, .partition = f, .output = wasmill__codec(in)});
}

WASMILL__SMALL wasmill_stream wasmill_sink_to(wasmill_stream in, wasmill_connector to) {
	return wasmill__add(in.job, (wasmill__operator){.kind = WASMILL__SINK, .name = to.name, .connector = to}, &in, 1);
}

WASMILL__SMALL wasmill_keyed wasmill__keyed(wasmill_stream in, const char *key, wasmill__function f) {
	f.key = key;
	wasmill_stream s = wasmill__call(in, (wasmill__operator){.kind = WASMILL__KEY, .key = key, .parallelism = in.op->parallelism}, f);
	return (wasmill_keyed){.job = s.job, .op = s.op};
}

WASMILL__SMALL wasmill_keyed wasmill_key_by(wasmill_stream in, const char *name, wasmill_key_fn f, const char *codec) {
	return wasmill__keyed(in, codec, (wasmill__function){.name = name, .key_of = f, .output = wasmill__codec(in)});
}

WASMILL__SMALL wasmill_keyed wasmill_key_value_by(wasmill_stream in, const char *name, wasmill_key_value_fn f, const char *key_codec, const char *value_codec) {
	return wasmill__keyed(in, key_codec, (wasmill__function){.name = name, .key_value = f, .output = value_codec});
}

WASMILL__SMALL wasmill_keyed wasmill_window(wasmill_keyed in, wasmill_time_window w) {
	if (!wasmill__windowed(w)) {
		wasmill_refuse(in.job, WASMILL__JOINED("window behind \"", in.op->name, "\": size_ms ", wasmill__number(w.size_ms), ", gap_ms ", wasmill__number(w.gap_ms), ", count ", wasmill__number(w.count), " (expected one of them > 0)"));
	}
	in.window = w;
	return in;
}

// wasmill__field is the type of a row's field that holds a value of a codec.
WASMILL__SMALL const char *wasmill__field(const char *codec) {
	for (const char *p = codec; *p != 0 && *p != '('; p++) {
		if (*p == '.' || *p == '/') return "bytes"; // a user's own
	}
	return codec;
}

WASMILL__SMALL const char *wasmill__result_codec(wasmill_keyed in, const char *value) {
	return WASMILL__JOINED(wasmill__timed(in.window) ? "row(start: ms, end: ms, key: " : "row(key: ", wasmill__field(in.op->key),
		", value: ", wasmill__field(value), ")");
}

WASMILL__SMALL wasmill_stream wasmill__native(wasmill_keyed in, wasmill__kind kind, const char *value) {
	wasmill_stream s = {.job = in.job, .op = in.op};
	return wasmill__add(in.job, (wasmill__operator){.kind = kind, .name = wasmill__kind_names[kind], .window = in.window, .parallelism = in.all,
		.output = wasmill__result_codec(in, value)}, &s, 1);
}

WASMILL__SMALL wasmill_keyed wasmill__key_by_fields(wasmill_stream in, const char *name, const char *codec, const char *fields) {
	wasmill_stream s = wasmill__add(in.job, (wasmill__operator){.kind = WASMILL__KEY, .name = name, .named = true, .key = codec,
		.parallelism = in.op->parallelism, .output = wasmill__codec(in), .fields = fields}, &in, 1);
	return (wasmill_keyed){.job = s.job, .op = s.op};
}

WASMILL__SMALL wasmill_stream wasmill_where(wasmill_stream in, const char *name, const char *predicate) {
	return wasmill__add(in.job, (wasmill__operator){.kind = WASMILL__FILTER, .name = name, .named = true,
		.output = wasmill__codec(in), .predicate = predicate}, &in, 1);
}

WASMILL__SMALL wasmill_stream wasmill__aggregates(wasmill_keyed in, const char *codec, const char *list) {
	wasmill_stream s = {.job = in.job, .op = in.op};
	return wasmill__add(in.job, (wasmill__operator){.kind = WASMILL__AGGREGATES, .name = "aggregates", .window = in.window, .parallelism = in.all,
		.output = codec, .aggregates = list}, &s, 1);
}

WASMILL__SMALL wasmill_stream wasmill_count(wasmill_keyed in) { return wasmill__native(in, WASMILL__COUNT, WASMILL_I64); }

WASMILL__SMALL wasmill_stream wasmill_sum(wasmill_keyed in) {
	const char *codec = in.op->output;
	if (!wasmill_same(codec, WASMILL_I64) && !wasmill_same(codec, WASMILL_F64)) {
		wasmill_refuse(in.job, WASMILL__JOINED("sum behind \"", in.op->name, "\": values of codec ", codec, " (expected i64 or f64)"));
	}
	return wasmill__native(in, WASMILL__SUM, codec);
}

WASMILL__SMALL wasmill_stream wasmill__grouped(wasmill_keyed in, wasmill__kind kind, wasmill__function f) {
	f.key = in.op->key;
	return wasmill__call((wasmill_stream){.job = in.job, .op = in.op}, (wasmill__operator){.kind = kind, .window = in.window, .parallelism = in.all}, f);
}

WASMILL__SMALL wasmill_stream wasmill_reduce(wasmill_keyed in, const char *name, wasmill_reduce_fn f) {
	return wasmill_reduce_to(in, name, f, NULL, wasmill__result_codec(in, in.op->output));
}

WASMILL__SMALL wasmill_stream wasmill_reduce_to(wasmill_keyed in, const char *name, wasmill_reduce_fn f, wasmill_result_fn result, const char *codec) {
	return wasmill__grouped(in, WASMILL__REDUCE,
		(wasmill__function){.name = name, .reduce = f, .result = result, .accumulator = in.op->output, .output = codec});
}

WASMILL__SMALL wasmill_stream wasmill_aggregate(wasmill_keyed in, const char *name, wasmill_aggregator a) {
	return wasmill__grouped(in, WASMILL__AGGREGATE, (wasmill__function){.name = name, .aggregator = a,
		.accumulator = a.accumulator_codec, .output = wasmill__result_codec(in, a.result_codec)});
}

static void wasmill__run_process(struct wasmill__node *n, uint32_t verb, const struct wasmill__group *g);
static void wasmill__run_trigger(struct wasmill__node *n, uint32_t verb, const struct wasmill__group *g);
static void wasmill__end_process(void);

WASMILL__SMALL void wasmill__count_parts(wasmill__function *f) {
	while (f->n_sides < WASMILL_MAX_SIDES && f->processor.sides[f->n_sides] != NULL) f->n_sides++;
	while (f->n_states < WASMILL_MAX_STATES && f->processor.states[f->n_states].name != NULL) f->n_states++;
}

__attribute__((unused)) static wasmill_stream wasmill__window_function(wasmill_keyed in, wasmill__function f) {
	f.output = f.processor.codec, f.run_process = wasmill__run_process, f.end_process = wasmill__end_process;
	wasmill__count_parts(&f);
	if (!wasmill__windowed(in.window)) wasmill_refuse(in.job, WASMILL__JOINED("window function \"", f.name, "\": behind no window (expected first wasmill_window)"));
	return wasmill__grouped(in, WASMILL__WINDOW, f);
}

__attribute__((unused)) static wasmill_stream wasmill_process_window(wasmill_keyed in, const char *name, wasmill_processor p) {
	return wasmill__window_function(in, (wasmill__function){.name = name, .processor = p});
}

__attribute__((unused)) static wasmill_stream wasmill_aggregate_window_with(wasmill_keyed in, const char *name, wasmill_aggregator a, wasmill_processor p) {
	return wasmill__window_function(in, (wasmill__function){.name = name, .processor = p, .aggregator = a, .accumulator = a.accumulator_codec});
}

// wasmill__asked_by makes a function known that the window of a stream names.
WASMILL__SMALL void wasmill__asked_by(wasmill_keyed in, wasmill__kind kind, wasmill__function f) {
	f.key = in.op->key, f.output = "";
	wasmill__callable((wasmill_stream){.job = in.job, .op = in.op}, kind, f);
}

WASMILL__SMALL wasmill_keyed wasmill_session_by(wasmill_keyed in, const char *name, wasmill_gap_fn gap) {
	wasmill__asked_by(in, WASMILL__GAP, (wasmill__function){.name = name, .gap = gap});
	in.window = (wasmill_time_window){.gap = name};
	return in;
}

__attribute__((unused)) static wasmill_keyed wasmill_trigger_by(wasmill_keyed in, const char *name, wasmill_trigger_function t) {
	wasmill__function f = {.name = name, .trigger = t, .run_process = wasmill__run_trigger};
	for (uint32_t i = 0; i < WASMILL_MAX_STATES; i++) f.processor.states[i] = t.states[i], f.processor.states[i].of_window = true;
	wasmill__count_parts(&f);
	wasmill__asked_by(in, WASMILL__TRIGGER, f);
	in.window.trigger.kind = "guest", in.window.trigger.function = name;
	return in;
}

WASMILL__SMALL wasmill_keyed wasmill_evict_by(wasmill_keyed in, const char *name, bool after, wasmill_evict_fn evict) {
	wasmill__asked_by(in, WASMILL__EVICT, (wasmill__function){.name = name, .evict = evict});
	in.window.evictor = (wasmill_evictor){.kind = "guest", .function = name, .after = after};
	return in;
}

__attribute__((unused)) static wasmill_bytes wasmill__constant_key(const wasmill_record *r) {
	(void)r;
	return (wasmill_bytes){(const uint8_t *)"\0\0\0\0\0\0\0", 8};
}

WASMILL__SMALL wasmill_keyed wasmill_window_all(wasmill_stream in, const char *name, wasmill_time_window w) {
	wasmill_keyed all = wasmill_window(wasmill_key_by(in, name, wasmill__constant_key, WASMILL_I64), w);
	all.all = true;
	return all;
}

// wasmill__is_own says whether a state is the operator's own, and not a key's.
WASMILL__SMALL bool wasmill__is_own(const wasmill_state *s) { return s->kind >= WASMILL_BROADCAST_STATE; }

WASMILL__SMALL wasmill__function wasmill__process_function(const char *name, const char *key, wasmill_processor p) {
	wasmill__function f = {.name = name, .key = key, .output = p.codec, .processor = p,
		.run_process = wasmill__run_process, .end_process = wasmill__end_process};
	wasmill__count_parts(&f);
	return f;
}

WASMILL__SMALL wasmill_stream wasmill__process_streams(const wasmill_stream *in, uint32_t n, const char *name, wasmill_processor p) {
	wasmill__function f = wasmill__process_function(name, NULL, p);
	if (p.timer != NULL) wasmill_refuse(in[0].job, WASMILL__JOINED("process \"", name, "\": timers on a stream without key (expected wasmill_key_by before it: a timer is a key's)"));
	for (uint32_t i = 0; i < f.n_states; i++) {
		if (wasmill__is_own(&p.states[i])) continue;
		wasmill_refuse(in[0].job, WASMILL__JOINED("process \"", name, "\": state \"", p.states[i].name, "\" of a key on a stream without key (expected a list of the operator, or wasmill_key_by before it)"));
	}
	return wasmill__call_all(in, n, (wasmill__operator){.kind = WASMILL__PROCESS}, f);
}

WASMILL__SMALL wasmill_stream wasmill_process_stream(wasmill_stream in, const char *name, wasmill_processor p) {
	return wasmill__process_streams(&in, 1, name, p);
}

WASMILL__SMALL wasmill_stream wasmill_map_partition(wasmill_stream in, const char *name, wasmill_processor p) {
	wasmill__function f = {.name = name, .processor = p, .output = p.codec, .run_process = wasmill__run_process, .end_process = wasmill__end_process};
	wasmill__count_parts(&f);
	if (f.n_states > 0) wasmill_refuse(in.job, WASMILL__JOINED("map partition \"", name, "\": with states (expected none: the host keeps the records)"));
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__MAP_PARTITION}, f);
}

WASMILL__SMALL wasmill_stream wasmill_partition_range(wasmill_keyed in, const char *name) {
	wasmill_stream by[2] = {{.job = in.job, .op = in.op, .partition = "forward"}};
	by[1] = wasmill_broadcast(wasmill__add(in.job, (wasmill__operator){.kind = WASMILL__SAMPLE, .name = WASMILL__JOINED(name, " sample"), .named = true,
		.output = WASMILL_BYTES, .before = in.op, .parallelism = in.op->parallelism}, by, 1));
	return wasmill__add(in.job, (wasmill__operator){.kind = WASMILL__RANGE, .name = name, .named = true, .output = wasmill__codec(by[0]),
		.before = by[1].op, .parallelism = in.op->parallelism}, by, 2);
}

WASMILL__SMALL wasmill_stream wasmill__sort_partition(wasmill_keyed in, const char *name, const char *order) {
	wasmill_stream by = {.job = in.job, .op = in.op, .partition = "forward"};
	return wasmill__add(in.job, (wasmill__operator){.kind = WASMILL__SORT_PARTITION, .name = name, .named = true, .output = wasmill__codec(by),
		.order = order, .before = in.op, .parallelism = in.op->parallelism}, &by, 1);
}

WASMILL__SMALL wasmill_stream wasmill_co_process_streams(wasmill_stream in, wasmill_stream other, const char *name, wasmill_processor p) {
	return wasmill__process_streams((const wasmill_stream[]){in, other}, 2, name, p);
}

// wasmill__broadcasting is a stream whose records all subtasks of a process function have.
WASMILL__SMALL wasmill_stream wasmill__broadcasting(wasmill_stream s, const char *name, const wasmill_processor *p) {
	bool any = false;
	for (uint32_t i = 0; i < WASMILL_MAX_STATES && p->states[i].name != NULL; i++) any = any || p->states[i].kind == WASMILL_BROADCAST_STATE;
	if (!any) wasmill_refuse(s.job, WASMILL__JOINED("process \"", name, "\": no broadcast state (expected one: what would come of the broadcast stream?)"));
	return wasmill_broadcast(s);
}

WASMILL__SMALL wasmill_stream wasmill_broadcast_process_stream(wasmill_stream in, wasmill_stream broadcast, const char *name, wasmill_processor p) {
	return wasmill__process_streams((const wasmill_stream[]){in, wasmill__broadcasting(broadcast, name, &p)}, 2, name, p);
}

WASMILL__SMALL wasmill_stream wasmill_broadcast_process(wasmill_keyed in, wasmill_stream broadcast, const char *name, wasmill_processor p) {
	wasmill_stream inputs[2] = {{.job = in.job, .op = in.op}, wasmill__broadcasting(broadcast, name, &p)};
	if (wasmill__windowed(in.window)) wasmill_refuse(in.job, WASMILL__JOINED("process \"", name, "\": behind a window (expected timers instead)"));
	return wasmill__call_all(inputs, 2, (wasmill__operator){.kind = WASMILL__PROCESS}, wasmill__process_function(name, in.op->key, p));
}

WASMILL__SMALL wasmill_stream wasmill__process_all(const wasmill_keyed *in, uint32_t n, const char *name, wasmill_processor p) {
	wasmill_stream inputs[2] = {{.job = in[0].job, .op = in[0].op}, {.job = in[n - 1].job, .op = in[n - 1].op}};
	wasmill__function f = wasmill__process_function(name, in[0].op->key, p);
	for (uint32_t i = 0; i < n; i++) {
		if (wasmill__windowed(in[i].window)) wasmill_refuse(in[0].job, WASMILL__JOINED("process \"", name, "\": behind a window (expected timers instead)"));
	}
	if (!wasmill_same(in[0].op->key, in[n - 1].op->key)) {
		wasmill_refuse(in[0].job, WASMILL__JOINED("process \"", name, "\": keys of codecs ", in[0].op->key, " and ", in[n - 1].op->key, " (expected one)"));
	}
	return wasmill__call_all(inputs, n, (wasmill__operator){.kind = WASMILL__PROCESS}, f);
}

WASMILL__SMALL wasmill_stream wasmill_process(wasmill_keyed in, const char *name, wasmill_processor p) {
	return wasmill__process_all(&in, 1, name, p);
}

WASMILL__SMALL wasmill_stream wasmill_co_process(wasmill_keyed in, wasmill_keyed other, const char *name, wasmill_processor p) {
	return wasmill__process_all((const wasmill_keyed[]){in, other}, 2, name, p);
}

__attribute__((unused)) static void wasmill__let_first(wasmill_context *c, const wasmill_record *r) {
	int64_t came = wasmill_get_i64(c, 0, 0);
	if (came >= c->function->first) return;
	wasmill_put_i64(c, 0, came + 1);
	wasmill_emit(c->out, r->value.data, r->value.size);
}

__attribute__((unused)) static wasmill_stream wasmill_first(wasmill_keyed in, const char *name, uint32_t n) {
	wasmill_stream of = {.job = in.job, .op = in.op};
	if (n < 1) wasmill_refuse(in.job, WASMILL__JOINED("first \"", name, "\": 0 records (expected >= 1)"));
	wasmill_stream s = wasmill_process(in, name, (wasmill_processor){
		.process = wasmill__let_first, .codec = wasmill__codec(of), .states = {{.name = "came", .codec = WASMILL_I64}},
	});
	s.op->function->first = n;
	return s;
}

__attribute__((unused)) static wasmill_stream wasmill_first_of_all(wasmill_stream in, const char *name, uint32_t n) {
	return wasmill_parallelism(wasmill_first(wasmill_key_by(in, WASMILL__JOINED(name, " of all"), wasmill__constant_key, WASMILL_I64), name, n), 1);
}

__attribute__((unused)) static wasmill_stream wasmill_distinct(wasmill_keyed in, const char *name) { return wasmill_first(in, name, 1); }

__attribute__((unused)) static wasmill_stream wasmill_distinct_values(wasmill_stream in, const char *name) {
	return wasmill_distinct(wasmill__key_by_fields(in, WASMILL__JOINED(name, " by value"), wasmill__codec(in), "[\"\"]"), name);
}

WASMILL__SMALL wasmill_stream wasmill_interval_join_to(wasmill_keyed left, wasmill_keyed right, wasmill_interval between, const char *name, wasmill_join_fn f, const char *codec) {
	wasmill_stream inputs[2] = {{.job = left.job, .op = left.op}, {.job = right.job, .op = right.op}};
	wasmill__operator o = {.kind = WASMILL__JOIN, .name = wasmill__kind_names[WASMILL__JOIN], .interval = between, .output = codec};
	if (wasmill__windowed(left.window) || wasmill__windowed(right.window)) wasmill_refuse(left.job, WASMILL__JOINED("interval join of \"", left.op->name, "\" and \"", right.op->name, "\": behind a window (expected keyed streams)"));
	if (between.lower_ms == 0 && between.upper_ms == 0 && !between.same_time) {
		wasmill_refuse(left.job, WASMILL__JOINED("interval join of \"", left.op->name, "\" and \"", right.op->name, "\": no bounds (expected lower_ms and upper_ms, or same_time)"));
	}
	if (!wasmill_same(left.op->key, right.op->key)) {
		wasmill_refuse(left.job, WASMILL__JOINED("interval join of \"", left.op->name, "\" and \"", right.op->name, "\": keys of codecs ", left.op->key, " and ", right.op->key, " (expected one)"));
	}
	if (f == NULL) return wasmill__add(left.job, o, inputs, 2);
	return wasmill__call_all(inputs, 2, o, (wasmill__function){.name = name, .key = left.op->key, .join = f, .output = codec});
}

WASMILL__SMALL wasmill_stream wasmill_interval_join(wasmill_keyed left, wasmill_keyed right, wasmill_interval between) {
	const char *codec = WASMILL__JOINED("row(left: ", wasmill__field(left.op->output), ", right: ", wasmill__field(right.op->output), ")");
	return wasmill_interval_join_to(left, right, between, NULL, NULL, codec);
}

// wasmill__window_join adds a join in windows. f has the name, the codec of what comes out, and the function, if there is one.
WASMILL__SMALL wasmill_stream wasmill__window_join(wasmill_keyed left, wasmill_keyed right, wasmill_time_window w, wasmill_outer outer, wasmill__function f) {
	wasmill_stream inputs[2] = {{.job = left.job, .op = left.op}, {.job = right.job, .op = right.op}};
	wasmill__operator o = {.kind = WASMILL__JOIN, .name = wasmill__kind_names[WASMILL__JOIN], .window = w, .outer = outer, .output = f.output};
	if (wasmill__windowed(left.window) || wasmill__windowed(right.window)) wasmill_refuse(left.job, WASMILL__JOINED("join of \"", left.op->name, "\" and \"", right.op->name, "\": behind a window (expected keyed streams)"));
	if (!wasmill__windowed(w)) wasmill_refuse(left.job, WASMILL__JOINED("join of \"", left.op->name, "\" and \"", right.op->name, "\": no window (expected one: every record would be kept for ever)"));
	if (!wasmill_same(left.op->key, right.op->key)) {
		wasmill_refuse(left.job, WASMILL__JOINED("join of \"", left.op->name, "\" and \"", right.op->name, "\": keys of codecs ", left.op->key, " and ", right.op->key, " (expected one)"));
	}
	f.key = left.op->key;
	return f.name == NULL ? wasmill__add(left.job, o, inputs, 2) : wasmill__call_all(inputs, 2, o, f);
}

WASMILL__SMALL wasmill_stream wasmill_window_join_to(wasmill_keyed left, wasmill_keyed right, wasmill_time_window w, wasmill_outer outer, const char *name, wasmill_join_fn f, const char *codec) {
	return wasmill__window_join(left, right, w, outer, (wasmill__function){.name = name, .join = f, .output = codec});
}

WASMILL__SMALL wasmill_stream wasmill_window_join(wasmill_keyed left, wasmill_keyed right, wasmill_time_window w, wasmill_outer outer) {
	const char *l = outer == WASMILL_RIGHT_OUTER || outer == WASMILL_FULL_OUTER ? "?" : "", *r = outer == WASMILL_LEFT_OUTER || outer == WASMILL_FULL_OUTER ? "?" : "";
	const char *codec = WASMILL__JOINED("row(left: ", wasmill__field(left.op->output), l, ", right: ", wasmill__field(right.op->output), r, ")");
	return wasmill__window_join(left, right, w, outer, (wasmill__function){.output = codec});
}

static void wasmill__run_co_group(struct wasmill__node *n, uint32_t verb, const struct wasmill__group *g);

__attribute__((unused)) static wasmill_stream wasmill_co_group_to(wasmill_keyed left, wasmill_keyed right, wasmill_time_window w, const char *name, wasmill_co_group_fn f, const char *codec) {
	return wasmill__window_join(left, right, w, WASMILL_INNER,
		(wasmill__function){.name = name, .co_group = f, .run_process = wasmill__run_co_group, .output = codec});
}

static void wasmill__run_request(struct wasmill__node *n, uint32_t verb, const struct wasmill__group *g);
WASMILL__SMALL void wasmill__write_requests(struct wasmill__json *w, const wasmill_async *a);

WASMILL__SMALL wasmill_stream wasmill_async_wait(wasmill_stream in, const char *name, wasmill_async a) {
	if (a.request == NULL || a.response == NULL || a.codec == NULL) {
		wasmill_refuse(in.job, WASMILL__JOINED("request \"", name, "\": no request, response or codec (expected all three)"));
	}
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__REQUEST},
		(wasmill__function){.name = name, .async = a, .output = a.codec, .run_request = wasmill__run_request, .write_requests = wasmill__write_requests});
}

WASMILL__SMALL wasmill_stream wasmill_async_wait_keyed(wasmill_keyed in, const char *name, wasmill_async a) {
	return wasmill_async_wait((wasmill_stream){.job = in.job, .op = in.op}, name, a);
}

WASMILL__SMALL wasmill_stream wasmill__at_side(wasmill_stream s, uint32_t side) {
	return (wasmill_stream){.job = s.job, .op = s.op, .side = side};
}

WASMILL__SMALL wasmill_stream wasmill_side(wasmill_stream s, uint32_t side) {
	uint32_t declared = s.op->function == NULL ? 0 : s.op->function->n_sides;
	if (side >= 1 && side <= declared) return wasmill__at_side(s, side);
	wasmill_refuse(s.job, WASMILL__JOINED("operator \"", s.op->name, "\": side output ", wasmill__number(side), " (it has ", wasmill__number(declared), ")"));
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_late(wasmill_stream windowed) {
	if (wasmill__late_sides(windowed.op) > 0) return wasmill__at_side(windowed, 1);
	wasmill_refuse(windowed.job, WASMILL__JOINED("operator \"", windowed.op->name, "\": late records (expected a window or join)"));
	return windowed;
}

WASMILL__SMALL wasmill_stream wasmill_late_right(wasmill_stream joined) {
	if (wasmill__late_sides(joined.op) > 1) return wasmill__at_side(joined, 2);
	wasmill_refuse(joined.job, WASMILL__JOINED("operator \"", joined.op->name, "\": late records of the right input (expected a join)"));
	return joined;
}

WASMILL__SMALL wasmill_stream wasmill_on_trap(wasmill_stream s, wasmill_trap_policy policy) {
	s.op->on_trap = policy;
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_dead_letters(wasmill_stream s) {
	if (s.op->on_trap != WASMILL_DEAD_LETTER || (s.op->function == NULL && s.op->kind != WASMILL__SOURCE)) {
		wasmill_refuse(s.job, WASMILL__JOINED("operator \"", s.op->name, "\": dead letters (expected a source or function with WASMILL_DEAD_LETTER)"));
		return s;
	}
	return wasmill__at_side(s, (s.op->function == NULL ? 0 : s.op->function->n_sides) + wasmill__late_sides(s.op) + 1);
}

WASMILL__SMALL wasmill_keyed wasmill_key_on_trap(wasmill_keyed k, wasmill_trap_policy policy) {
	k.op->on_trap = policy;
	return k;
}

WASMILL__SMALL wasmill_stream wasmill_key_dead_letters(wasmill_keyed k) {
	return wasmill_dead_letters((wasmill_stream){.job = k.job, .op = k.op});
}

WASMILL__SMALL wasmill_stream wasmill_name(wasmill_stream s, const char *name) {
	s.op->name = name;
	s.op->named = true;
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_accumulators(wasmill_stream s, wasmill_state schema) {
	wasmill__function *f = s.op->function;
	if (f == NULL || f->accumulator == NULL) {
		wasmill_refuse(s.job, WASMILL__JOINED("accumulators of \"", s.op->name, "\": it has none (expected a reduce or aggregate)"));
		return s;
	}
	f->processor.states[0] = (wasmill_state){.name = "accumulator", .codec = f->accumulator,
		.version = schema.version, .migrate = schema.migrate, .oldest = schema.oldest};
	f->n_states = 1;
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_uid(wasmill_stream s, const char *uid) {
	s.op->uid = uid;
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_start_new_chain(wasmill_stream s) {
	s.op->chaining = "begin";
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_join_hint(wasmill_stream joined, const char *hint) {
	joined.op->hint = hint;
	return joined;
}

WASMILL__SMALL wasmill_stream wasmill_pre_aggregate(wasmill_stream s, bool on) {
	s.op->pre_aggregate = on ? "on" : "off";
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_disable_chaining(wasmill_stream s) {
	s.op->chaining = "alone";
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_slot_sharing_group(wasmill_stream s, const char *group) {
	s.op->slot_group = group;
	return s;
}

WASMILL__SMALL wasmill_stream wasmill_parallelism(wasmill_stream s, uint32_t n) {
	if (n < 1) wasmill_refuse(s.job, WASMILL__JOINED("operator \"", s.op->name, "\": parallelism 0 (expected >= 1)"));
	for (wasmill__operator *o = s.op; o != NULL; o = o->before) o->parallelism = n;
	return s;
}

// wasmill__taken says whether an operator other than o has the name for good.
WASMILL__SMALL bool wasmill__taken(const wasmill_job *job, const wasmill__operator *o, const char *name) {
	for (const wasmill__operator *p = job->operators; p != NULL; p = p->next) {
		if (p != o && p->named && wasmill_same(p->name, name)) return true;
	}
	return false;
}

// wasmill__finish names what has no name yet, and checks what only the whole graph can tell.
WASMILL__SMALL void wasmill__finish(wasmill_job *job) {
	for (wasmill__operator *o = job->operators; o != NULL; o = o->next) {
		if (o->named && wasmill__taken(job, o, o->name)) {
			wasmill_refuse(job, WASMILL__JOINED("operator \"", o->name, "\": defined twice; give one of them another name"));
			return;
		}
	}
	for (wasmill__operator *o = job->operators; o != NULL; o = o->next) {
		const char *name = o->name;
		for (int64_t n = 2; !o->named && wasmill__taken(job, o, o->name); n++) {
			o->name = WASMILL__JOINED(name, "-", wasmill__number(n));
		}
		o->named = true;
		bool stateful = o->kind >= WASMILL__COUNT && o->kind <= WASMILL__REQUEST;
		if (o->kind == WASMILL__PROCESS) stateful = o->function->key != NULL || o->function->n_states > 0;
		if (stateful && o->uid == NULL) {
			wasmill_refuse(job, WASMILL__JOINED("operator \"", o->name, "\" keeps state and has no uid; give it one with wasmill_uid, so that its state is found again when the job changes"));
		}
	}
}

// The manifest is JSON with its keys in a fixed order. A comma precedes every element but the first of its list.
typedef struct wasmill__json {
	wasmill__buffer out;
	bool first;
} wasmill__json;

WASMILL__SMALL void wasmill__json_text(wasmill__json *w, const char *s) {
	static const char hex[] = "0123456789abcdef";
	wasmill__append(&w->out, "\"", 1);
	for (; *s != 0; s++) {
		uint8_t c = (uint8_t)*s;
		if (c < 0x20) {
			char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
			wasmill__append(&w->out, escape, 6);
		} else {
			if (c == '"' || c == '\\') wasmill__append(&w->out, "\\", 1);
			wasmill__append(&w->out, s, 1);
		}
	}
	wasmill__append(&w->out, "\"", 1);
}

WASMILL__SMALL void wasmill__json_key(wasmill__json *w, const char *key) {
	if (!w->first) wasmill__append(&w->out, ",", 1);
	w->first = false;
	if (key == NULL) return; // an element of a list
	wasmill__json_text(w, key);
	wasmill__append(&w->out, ":", 1);
}

WASMILL__SMALL void wasmill__json_open(wasmill__json *w, const char *key, const char *bracket) {
	wasmill__json_key(w, key);
	wasmill__append(&w->out, bracket, 1);
	w->first = true;
}

WASMILL__SMALL void wasmill__json_close(wasmill__json *w, const char *bracket) {
	wasmill__append(&w->out, bracket, 1);
	w->first = false;
}

WASMILL__SMALL void wasmill__json_string(wasmill__json *w, const char *key, const char *value) {
	wasmill__json_key(w, key);
	wasmill__json_text(w, value);
}

WASMILL__SMALL void wasmill__json_string_or_none(wasmill__json *w, const char *key, const char *value) {
	if (value != NULL && *value != 0) wasmill__json_string(w, key, value);
}

WASMILL__SMALL void wasmill__json_number(wasmill__json *w, const char *key, int64_t value) {
	wasmill__json_key(w, key);
	wasmill__append_i64(&w->out, value);
}

WASMILL__SMALL void wasmill__json_true(wasmill__json *w, const char *key) {
	wasmill__json_key(w, key);
	wasmill__append_string(&w->out, "true");
}

// wasmill__json_given writes what is JSON already.
WASMILL__SMALL void wasmill__json_given(wasmill__json *w, const char *key, const char *json) {
	if (json == NULL) return;
	wasmill__json_key(w, key);
	wasmill__append(&w->out, json, wasmill__length(json));
}

WASMILL__SMALL void wasmill__json_state(wasmill__json *w, const wasmill_state *s) {
	static const char *const kinds[] = {"value", "list", "map", "map", "list", "union"};
	wasmill__json_open(w, NULL, "{");
	wasmill__json_string(w, "name", s->name);
	wasmill__json_string(w, "scope", s->of_window ? "window" : s->kind == WASMILL_BROADCAST_STATE ? "broadcast" : wasmill__is_own(s) ? "operator" : "keyed");
	wasmill__json_string(w, "kind", kinds[s->kind]);
	wasmill__json_string(w, "codec", s->codec);
	wasmill__json_string_or_none(w, "key", s->key_codec);
	if (s->ttl_ms != 0) wasmill__json_number(w, "ttlMs", s->ttl_ms);
	if (s->event_time) wasmill__json_string(w, "time", "event");
	if (s->version != 0) wasmill__json_number(w, "version", s->version);
	if (s->migrate != NULL) wasmill__json_true(w, "migrates");
	if (s->oldest != 0) wasmill__json_number(w, "oldest", s->oldest);
	wasmill__json_close(w, "}");
}

WASMILL__SMALL void wasmill__json_function(wasmill__json *w, const wasmill__function *f) {
	wasmill__json_open(w, NULL, "{");
	wasmill__json_number(w, "id", f->id);
	wasmill__json_string(w, "name", f->name);
	wasmill__json_string(w, "kind", f->co_group != NULL ? "coGroup" : wasmill__kind_names[f->kind]);
	wasmill__json_open(w, "inputs", "[");
	wasmill__json_string(w, NULL, f->input);
	if (f->other != NULL) wasmill__json_string(w, NULL, f->other);
	wasmill__json_close(w, "]");
	wasmill__json_string_or_none(w, "key", f->key);
	wasmill__json_string_or_none(w, "accumulator", f->accumulator);
	wasmill__json_string(w, "output", f->output);
	if (f->n_sides > 0) {
		wasmill__json_open(w, "sides", "[");
		for (uint32_t i = 0; i < f->n_sides; i++) wasmill__json_string(w, NULL, f->processor.sides[i]);
		wasmill__json_close(w, "]");
	}
	if (f->kind == WASMILL__REDUCE) wasmill__json_true(w, "result");
	if (f->kind == WASMILL__REDUCE || (f->kind == WASMILL__AGGREGATE && f->aggregator.merge)) wasmill__json_true(w, "combine");
	if (f->kind == WASMILL__PROCESS && f->processor.begin != NULL) wasmill__json_true(w, "begins");
	if (f->processor.apply != NULL) wasmill__json_true(w, "applies");
	if (f->kind == WASMILL__WINDOW && f->accumulator == NULL) wasmill__json_true(w, "pulls");
	if (f->async.failures) wasmill__json_true(w, "failures");
	if (f->n_states > 0) {
		wasmill__json_open(w, "states", "[");
		for (uint32_t i = 0; i < f->n_states; i++) wasmill__json_state(w, &f->processor.states[i]);
		wasmill__json_close(w, "]");
	}
	wasmill__json_close(w, "}");
}

WASMILL__SMALL void wasmill__json_connector(wasmill__json *w, const wasmill_connector *c) {
	wasmill__json_open(w, "connector", "{");
	wasmill__json_string(w, "type", c->type);
	if (c->count > 0) {
		wasmill__json_open(w, "config", "{");
		for (uint32_t i = 0; i < c->count; i++) wasmill__json_string(w, c->settings[i].key, c->settings[i].value);
		wasmill__json_close(w, "}");
	}
	wasmill__json_close(w, "}");
}

WASMILL__SMALL void wasmill__json_inputs(wasmill__json *w, const wasmill__operator *o) {
	wasmill__json_open(w, "inputs", "[");
	for (uint32_t i = 0; i < o->n_inputs; i++) {
		wasmill__json_open(w, NULL, "{");
		wasmill__json_string(w, "from", o->inputs[i].op->name);
		if (o->inputs[i].side > 0) wasmill__json_number(w, "side", o->inputs[i].side);
		wasmill__json_string_or_none(w, "partition", o->inputs[i].partition);
		wasmill__json_close(w, "}");
	}
	wasmill__json_close(w, "]");
}

WASMILL__SMALL void wasmill__json_trigger(wasmill__json *w, const wasmill_trigger *t) {
	wasmill__json_open(w, "trigger", "{");
	wasmill__json_string(w, "kind", t->kind);
	if (t->count != 0) wasmill__json_number(w, "count", t->count);
	if (t->every_ms != 0) wasmill__json_number(w, "everyMs", t->every_ms);
	wasmill__json_string_or_none(w, "threshold", t->threshold);
	wasmill__json_string_or_none(w, "field", t->field);
	wasmill__json_string_or_none(w, "function", t->function);
	if (t->purging) wasmill__json_true(w, "purging");
	wasmill__json_close(w, "}");
}

WASMILL__SMALL void wasmill__json_evictor(wasmill__json *w, const wasmill_evictor *e) {
	wasmill__json_open(w, "evictor", "{");
	wasmill__json_string(w, "kind", e->kind);
	if (e->count != 0) wasmill__json_number(w, "count", e->count);
	if (e->keep_ms != 0) wasmill__json_number(w, "keepMs", e->keep_ms);
	wasmill__json_string_or_none(w, "threshold", e->threshold);
	wasmill__json_string_or_none(w, "field", e->field);
	wasmill__json_string_or_none(w, "function", e->function);
	if (e->after) wasmill__json_true(w, "after");
	wasmill__json_close(w, "}");
}

WASMILL__SMALL void wasmill__json_window(wasmill__json *w, const wasmill_time_window *t) {
	wasmill__json_open(w, "window", "{");
	wasmill__json_string(w, "kind", t->all ? "all" : t->global ? "global" : t->count > 0 ? "count" : t->gap_ms > 0 || t->gap != NULL ? "session" : t->sliding || t->slide_ms > 0 ? "sliding" : "tumbling");
	if (t->size_ms != 0) wasmill__json_number(w, "sizeMs", t->size_ms);
	if (t->slide_ms != 0) wasmill__json_number(w, "slideMs", t->slide_ms);
	if (t->offset_ms != 0) wasmill__json_number(w, "offsetMs", t->offset_ms);
	if (t->gap_ms != 0) wasmill__json_number(w, "gapMs", t->gap_ms);
	wasmill__json_string_or_none(w, "gap", t->gap);
	if (t->count != 0) wasmill__json_number(w, "count", t->count);
	if (t->count_slide != 0) wasmill__json_number(w, "countSlide", t->count_slide);
	if (t->processing_time) wasmill__json_string(w, "time", "processing");
	if (t->lateness_ms != 0) wasmill__json_number(w, "latenessMs", t->lateness_ms);
	if (t->trigger.kind != NULL) wasmill__json_trigger(w, &t->trigger);
	if (t->evictor.kind != NULL) wasmill__json_evictor(w, &t->evictor);
	wasmill__json_close(w, "}");
}

WASMILL__SMALL void wasmill__json_interval(wasmill__json *w, const wasmill_interval *i) {
	wasmill__json_open(w, "interval", "{");
	wasmill__json_number(w, "lowerMs", i->lower_ms);
	wasmill__json_number(w, "upperMs", i->upper_ms);
	if (i->lower_exclusive) wasmill__json_true(w, "lowerExclusive");
	if (i->upper_exclusive) wasmill__json_true(w, "upperExclusive");
	wasmill__json_close(w, "}");
}

WASMILL__SMALL void wasmill__json_operator(wasmill__json *w, const wasmill__operator *o) {
	wasmill__json_open(w, NULL, "{");
	wasmill__json_string(w, "name", o->name);
	wasmill__json_string_or_none(w, "uid", o->uid);
	wasmill__json_string(w, "kind", wasmill__kind_names[o->kind]);
	if (o->function != NULL) wasmill__json_string(w, "function", o->function->name);
	if (o->n_inputs > 0) wasmill__json_inputs(w, o);
	if (o->connector.type != NULL) wasmill__json_connector(w, &o->connector);
	if (wasmill__windowed(o->window)) wasmill__json_window(w, &o->window);
	if (o->kind == WASMILL__JOIN && !wasmill__windowed(o->window)) wasmill__json_interval(w, &o->interval);
	static const char *const outers[] = {NULL, "left", "right", "full"};
	wasmill__json_string_or_none(w, "outer", outers[o->outer]);
	wasmill__json_string_or_none(w, "hint", o->hint);
	if (o->kind == WASMILL__REQUEST) o->function->write_requests(w, &o->function->async);
	if (o->watermarks) {
		wasmill__json_open(w, "watermarks", "{");
		if (o->out_of_order_ms != 0) wasmill__json_number(w, "outOfOrderMs", o->out_of_order_ms);
		if (o->reports) wasmill__json_true(w, "guest");
		wasmill__json_string_or_none(w, "group", o->align_group);
		if (o->drift_ms != 0) wasmill__json_number(w, "driftMs", o->drift_ms);
		if (o->idle_ms != 0) wasmill__json_number(w, "idleMs", o->idle_ms);
		wasmill__json_close(w, "}");
	}
	if (o->parallelism > 0) wasmill__json_number(w, "parallelism", o->parallelism);
	wasmill__json_string_or_none(w, "key", o->key);
	wasmill__json_string_or_none(w, "output", o->output);
	if (o->on_trap != WASMILL_FAIL) wasmill__json_string(w, "onTrap", o->on_trap == WASMILL_SKIP ? "skip" : "deadLetter");
	wasmill__json_string_or_none(w, "chaining", o->chaining);
	wasmill__json_given(w, "fields", o->fields);
	wasmill__json_given(w, "predicate", o->predicate);
	wasmill__json_given(w, "aggregates", o->aggregates);
	wasmill__json_given(w, "order", o->order);
	wasmill__json_string_or_none(w, "slotGroup", o->slot_group);
	wasmill__json_string_or_none(w, "preAggregate", o->pre_aggregate);
	wasmill__json_close(w, "}");
}

WASMILL__SMALL bool wasmill__is_row(const char *codec) {
	return codec != NULL && codec[0] == 'r' && codec[1] == 'o' && codec[2] == 'w' && (codec[3] == '(' || codec[3] == ' ');
}

// wasmill__uses_row says whether what a function takes, emits beside its main output or keeps has a row in it.
WASMILL__SMALL bool wasmill__uses_row(const wasmill__function *f) {
	bool rows = wasmill__is_row(f->input) || wasmill__is_row(f->other);
	for (uint32_t i = 0; i < f->n_sides; i++) rows = rows || wasmill__is_row(f->processor.sides[i]);
	for (uint32_t i = 0; i < f->n_states; i++) {
		rows = rows || wasmill__is_row(f->processor.states[i].codec) || wasmill__is_row(f->processor.states[i].key_codec);
	}
	return rows;
}

static bool wasmill__contains(const char *text, const char *part) {
	for (; *text != 0; text++) {
		uint32_t i = 0;
		while (part[i] != 0 && text[i] == part[i]) i++;
		if (part[i] == 0) return true;
	}
	return false;
}

// wasmill__json_features lists what the graph needs of its host: batches (1), keyed functions (2), state (3), timers (4),
// two inputs (5), functions of windows (6), requests (7), rows (8), partition functions (9), accumulators with a schema version (10), fields (11), windows that do more than fire at their end (12), joins in windows (14),
// states of operators and process functions without key (16), fields that decide among equals (18), states that end by event time (19),
// broadcast records that are applied to keys (20).
WASMILL__SMALL void wasmill__json_features(wasmill__json *w, const wasmill_job *job) {
	bool needs[21] = {[1] = true};
	for (const wasmill__operator *o = job->operators; o != NULL; o = o->next) {
		if (wasmill__keyed_kind(o->kind) && o->function != NULL) needs[2] = true;
		if (o->kind == WASMILL__JOIN) needs[5] = true;
		if (o->kind == WASMILL__JOIN && wasmill__windowed(o->window)) needs[14] = true;
		if (o->kind == WASMILL__REQUEST) needs[7] = true;
		if (o->kind == WASMILL__PARTITION) needs[9] = true;
		const wasmill_time_window *t = &o->window;
		if (o->kind == WASMILL__WINDOW || t->global || t->gap != NULL || t->trigger.kind != NULL || t->evictor.kind != NULL) needs[12] = true;
		if (o->fields != NULL || o->predicate != NULL || o->aggregates != NULL) needs[11] = true;
		if (o->aggregates != NULL && wasmill__contains(o->aggregates, "\"then\":[")) needs[18] = true;
		if (wasmill__is_row(o->output) || wasmill__is_row(o->key)) needs[8] = true;
		const wasmill__function *f = o->function;
		if (f == NULL) continue;
		if (f->accumulator != NULL && f->n_states > 0) needs[10] = true;
		if (f->run_process != NULL) needs[3] = true; // declared or not: such a module imports state
		if (f->processor.timer != NULL) needs[4] = true;
		if (f->processor.apply != NULL) needs[20] = true;
		if (o->kind == WASMILL__PROCESS && (f->key == NULL || f->processor.begin != NULL)) needs[16] = true;
		for (uint32_t i = 0; i < f->n_states; i++) {
			wasmill_state_kind kind = f->processor.states[i].kind;
			if (kind == WASMILL_BROADCAST_STATE) needs[14] = true;
			if (kind > WASMILL_BROADCAST_STATE) needs[16] = true;
			if (f->processor.states[i].event_time) needs[19] = true;
		}
		if (f->other != NULL) needs[5] = true;
		if (wasmill__uses_row(f)) needs[8] = true;
	}
	for (const wasmill__function *f = job->functions; f != NULL; f = f->next) {
		if (f->kind < WASMILL__TRIGGER || f->kind > WASMILL__GAP) continue;
		needs[2] = needs[6] = true;
		if (f->kind == WASMILL__TRIGGER) needs[3] = true;
		if (f->trigger.timer != NULL) needs[4] = true;
	}
	wasmill__json_open(w, "features", "[");
	for (uint32_t i = 1; i < sizeof needs; i++) {
		if (needs[i]) wasmill__json_number(w, NULL, i);
	}
	wasmill__json_close(w, "]");
}

WASMILL__SMALL void wasmill__json_manifest(wasmill__json *w, const wasmill_job *job) {
	w->first = true;
	wasmill__json_open(w, NULL, "{");
	wasmill__json_number(w, "abi", 1);
	wasmill__json_string(w, "name", wasmill__job_name());
	wasmill__json_string(w, "sdk", WASMILL_SDK);
	wasmill__json_features(w, job);
	wasmill__json_open(w, "params", "[");
	for (const wasmill__param *p = job->params; p != NULL; p = p->next) {
		wasmill__json_open(w, NULL, "{");
		wasmill__json_string(w, "name", p->name);
		if (p->required) wasmill__json_true(w, "required");
		wasmill__json_string_or_none(w, "default", p->fallback);
		wasmill__json_string_or_none(w, "doc", p->doc);
		wasmill__json_close(w, "}");
	}
	wasmill__json_close(w, "]");
	wasmill__json_open(w, "functions", "[");
	for (const wasmill__function *f = job->functions; f != NULL; f = f->next) wasmill__json_function(w, f);
	wasmill__json_close(w, "]");
	wasmill__json_open(w, "operators", "[");
	for (const wasmill__operator *o = job->operators; o != NULL; o = o->next) wasmill__json_operator(w, o);
	wasmill__json_close(w, "]");
	wasmill__json_close(w, "}");
}

// ---------------------------------------------------------------------------------------------------------------------
// What leaves a call: batches

enum { // bits of a batch's columns
	WASMILL__TIMESTAMPS = 1 << 0,
	WASMILL__KEYS = 1 << 1,
	WASMILL__VALUES = 1 << 2,
	WASMILL__KINDS = 1 << 3,
	WASMILL__HASHES = 1 << 4,
	WASMILL__HEADERS = 1 << 5,
	WASMILL__KEY_NULLS = 1 << 6,
	WASMILL__VALUE_NULLS = 1 << 7,
};

// A batch is sent when it has so many records, when a column of bytes is full, and at the end of the call.
#define WASMILL__BATCH_RECORDS 1024u
#define WASMILL__COLUMN_BYTES (1u << 16)
#define WASMILL__COLUMN_SLACK 16u // wasmill__copy_word writes up to 16 bytes wherever it ends
#define WASMILL__BATCH_HEADER 32u

// wasmill__column is a column of byte strings: string i lies between offsets i and i+1.
typedef struct wasmill__column {
	uint8_t *data, *end, *limit; // limit: the capacity less the slack
	uint32_t capacity;
	uint32_t offsets[WASMILL__BATCH_RECORDS + 1];
} wasmill__column;

// wasmill__output collects what leaves by one output number.
typedef struct wasmill__output {
	uint32_t number, wanted, side;
	uint32_t columns; // those of the batches of this call
	uint32_t n;
	wasmill__column *keys, *values, *headers; // NULL when not wanted
	int64_t *timestamps;
	uint8_t *kinds;
} wasmill__output;

static wasmill__buffer wasmill__encoded; // the batch, reply or failure that is handed to the host

static wasmill__column *wasmill__make_column(void) {
	wasmill__column *c = wasmill__alloc(sizeof *c);
	c->capacity = WASMILL__COLUMN_BYTES;
	c->data = c->end = wasmill__alloc(c->capacity);
	c->limit = c->data + c->capacity - WASMILL__COLUMN_SLACK;
	c->offsets[0] = 0;
	return c;
}

static void wasmill__free_column(wasmill__column *c) {
	if (c == NULL) return;
	wasmill__free(c->data, c->capacity);
	wasmill__free(c, sizeof *c);
}

static void wasmill__section(const void *data, uint32_t n) {
	uint8_t *p = wasmill__room(&wasmill__encoded, wasmill__pad8(n) + 8);
	wasmill__store64(p + wasmill__pad8(n) - (n > 0 ? 8 : 0), 0);
	wasmill__copy(p, data, n);
	wasmill__encoded.size += wasmill__pad8(n);
}

static uint32_t wasmill__bytes_of(const wasmill__column *c) { return c == NULL ? 0 : (uint32_t)(c->end - c->data); }

// wasmill__column_if returns the column if the batch has it.
static wasmill__column *wasmill__column_if(const wasmill__output *o, uint32_t bit, wasmill__column *c) {
	return (o->columns & bit) != 0 ? c : NULL;
}

// wasmill__encode writes the batch as abi/README.md draws it.
static void wasmill__encode(const wasmill__output *o) {
	wasmill__column *keys = wasmill__column_if(o, WASMILL__KEYS, o->keys);
	wasmill__column *values = wasmill__column_if(o, WASMILL__VALUES, o->values);
	wasmill__column *headers = wasmill__column_if(o, WASMILL__HEADERS, o->headers);
	wasmill__buffer *b = &wasmill__encoded;
	b->size = 0;
	uint8_t header[WASMILL__BATCH_HEADER] = {1};
	wasmill__store32(header + 4, o->columns);
	wasmill__store32(header + 8, o->n);
	wasmill__store32(header + 16, wasmill__bytes_of(keys));
	wasmill__store32(header + 20, wasmill__bytes_of(values));
	wasmill__store32(header + 24, wasmill__bytes_of(headers));
	wasmill__section(header, sizeof header);
	if (o->columns & WASMILL__TIMESTAMPS) wasmill__section(o->timestamps, 8 * o->n);
	if (keys != NULL) wasmill__section(keys->offsets, 4 * (o->n + 1));
	if (values != NULL) wasmill__section(values->offsets, 4 * (o->n + 1));
	if (o->columns & WASMILL__KINDS) wasmill__section(o->kinds, o->n);
	if (headers != NULL) wasmill__section(headers->offsets, 4 * (o->n + 1));
	if (keys != NULL) wasmill__section(keys->data, wasmill__bytes_of(keys));
	if (values != NULL) wasmill__section(values->data, wasmill__bytes_of(values));
	if (headers != NULL) wasmill__section(headers->data, wasmill__bytes_of(headers));
	wasmill__store32(b->data + 12, b->size);
}

static void wasmill__reset_output(wasmill__output *o) {
	o->n = 0;
	if (o->keys != NULL) o->keys->end = o->keys->data;
	if (o->values != NULL) o->values->end = o->values->data;
	if (o->headers != NULL) o->headers->end = o->headers->data;
}

WASMILL__NOINLINE void wasmill__flush(wasmill__output *o) {
	if (o->n == 0) return;
	wasmill__encode(o);
	wasmill_host_emit(o->number, wasmill__encoded.data, wasmill__encoded.size);
	wasmill__reset_output(o);
}

// wasmill__widen makes room for a byte string that a whole column cannot take.
static void wasmill__widen(wasmill__column *c, uint32_t size) {
	wasmill__free(c->data, c->capacity);
	if (size > (1u << 30) - WASMILL__COLUMN_SLACK) __builtin_trap();
	c->capacity = 1u << wasmill__class_of(size + WASMILL__COLUMN_SLACK);
	c->data = c->end = wasmill__alloc(c->capacity);
	c->limit = c->data + c->capacity - WASMILL__COLUMN_SLACK;
}

WASMILL__INLINE bool wasmill__fits(const wasmill__column *c, uint32_t size) { return size <= (uint32_t)(c->limit - c->end); }

// wasmill__fit makes sure that the next record fits, if need be by sending those before it.
static void wasmill__fit(wasmill__output *o, wasmill__column *c, uint32_t size) {
	if (WASMILL__LIKELY(wasmill__fits(c, size))) return;
	wasmill__flush(o);
	if (!wasmill__fits(c, size)) wasmill__widen(c, size);
}

WASMILL__INLINE void wasmill__put(wasmill__column *c, uint32_t record, const uint8_t *data, uint32_t size) {
	uint8_t *end = c->end;
	wasmill__copy_word(end, data, size);
	end += size;
	c->end = end;
	c->offsets[record + 1] = (uint32_t)(end - c->data);
}

// wasmill__put_any appends a record with whatever columns the batch has.
WASMILL__NOINLINE void wasmill__put_any(wasmill__output *o, const wasmill_record *r) {
	uint32_t columns = o->columns;
	if (columns & WASMILL__KEYS) wasmill__fit(o, o->keys, r->key.size);
	if (columns & WASMILL__VALUES) wasmill__fit(o, o->values, r->value.size);
	if (columns & WASMILL__HEADERS) wasmill__fit(o, o->headers, r->headers.size);
	uint32_t n = o->n;
	if (columns & WASMILL__KEYS) wasmill__put(o->keys, n, r->key.data, r->key.size);
	if (columns & WASMILL__VALUES) wasmill__put(o->values, n, r->value.data, r->value.size);
	if (columns & WASMILL__HEADERS) wasmill__put(o->headers, n, r->headers.data, r->headers.size);
	if (columns & WASMILL__TIMESTAMPS) o->timestamps[n] = r->timestamp;
	if (columns & WASMILL__KINDS) o->kinds[n] = r->kind;
	if ((o->n = n + 1) == WASMILL__BATCH_RECORDS) wasmill__flush(o);
}

// wasmill__put_record appends a record; keys with values that fit, the usual case, in fewer steps.
static void wasmill__put_record(wasmill__output *o, const wasmill_record *r) {
	wasmill__column *keys = o->keys, *values = o->values;
	wasmill_bytes key = r->key, value = r->value;
	if (o->columns != (WASMILL__KEYS | WASMILL__VALUES) || !wasmill__fits(keys, key.size) || !wasmill__fits(values, value.size)) {
		wasmill__put_any(o, r);
		return;
	}
	uint32_t n = o->n;
	wasmill__put(keys, n, key.data, key.size);
	wasmill__put(values, n, value.data, value.size);
	if ((o->n = n + 1) == WASMILL__BATCH_RECORDS) wasmill__flush(o);
}

// ---------------------------------------------------------------------------------------------------------------------
// Handles: functions composed into one

typedef struct wasmill__node wasmill__node;

// wasmill_out leads from a function to what takes its records: the functions behind it, and outputs.
struct wasmill_out {
	wasmill_record *in; // the record that the function runs on
	// The short way, taken when all that happens to an emitted value is that it is appended to one column of one output:
	// as the value, or as the key when the only function behind is wasmill_value. NULL otherwise.
	wasmill__output *direct;
	wasmill__column *column;
	bool timed; // and the timestamp is appended too
	uint32_t n_children, n_outputs, n_all;
	wasmill__node **children;
	wasmill__output *outputs; // the first n_outputs are of the main output, the others of side outputs
};

// wasmill__node is one function of a handle.
struct wasmill__node {
	const wasmill__function *function;
	uint32_t upstream, input;
	wasmill__node *next_head; // the next function that reads an input of the handle
	uint32_t gives; // columns that records have behind it whatever the input has
	int64_t newest; // timestamp that a timestamp function has seen in this call
	wasmill_out out;
};

typedef struct wasmill__handle {
	struct wasmill__handle *next;
	uint32_t number, n;
	wasmill__node *nodes, *heads;
} wasmill__handle;

static wasmill__handle *wasmill__handles;
static wasmill_job wasmill__job;
static uint32_t wasmill__record; // of the call, that runs now: what a failure names
static bool wasmill__failed;

enum { // statuses
	WASMILL__OK = 0,
	WASMILL__FAILED = 1,
	WASMILL__UNKNOWN_HANDLE = 2,
	WASMILL__UNKNOWN_FUNCTION = 3,
	WASMILL__UNKNOWN_VERB = 4,
	WASMILL__BAD_INPUT = 5,
};

// u32 size, u32 record, u32 message length, u32 trace length, message, padding.
WASMILL__SMALL void wasmill_fail(const char *message) {
	if (wasmill__failed) return; // the first cause counts
	wasmill__failed = true;
	uint32_t n = wasmill__length(message), size = wasmill__pad8(16 + n);
	uint8_t *p = wasmill__alloc_zero(size);
	wasmill__store32(p, size);
	wasmill__store32(p + 4, wasmill__record);
	wasmill__store32(p + 8, n);
	wasmill__copy(p + 16, message, n);
	wasmill_host_fail(p, size);
	wasmill__free(p, size);
}

WASMILL__SMALL void wasmill_log(wasmill_level level, const char *text) {
	wasmill_host_log(level, text, wasmill__length(text));
}

WASMILL__SMALL void wasmill_counter_add(const char *name, int64_t n) {
	wasmill_host_metric(1, name, wasmill__length(name), n);
}

WASMILL__SMALL void wasmill_gauge_set(const char *name, int64_t value) {
	wasmill_host_metric(2, name, wasmill__length(name), value);
}

static void wasmill__step(wasmill__node *n, wasmill_record *r);

// wasmill__deliver hands a record to everything behind a function.
static void wasmill__deliver(const wasmill_out *out, wasmill_record *r) {
	for (uint32_t i = 0; i < out->n_outputs; i++) wasmill__put_record(&out->outputs[i], r);
	for (uint32_t i = 0; i < out->n_children; i++) wasmill__step(out->children[i], r);
}

// wasmill__deliver_value delivers the record with another value. The record is changed in place and back again: that is
// cheaper than a copy for every function that it passes.
WASMILL__INLINE void wasmill__deliver_value(const wasmill_out *out, wasmill_record *r, wasmill_bytes value) {
	wasmill_bytes old = r->value;
	r->value = value;
	wasmill__deliver(out, r);
	r->value = old;
}

WASMILL__NOINLINE void wasmill__emit_slow(wasmill_out *out, const uint8_t *data, uint32_t size) {
	if (out->direct == NULL) {
		wasmill__deliver_value(out, out->in, (wasmill_bytes){data, size});
	} else {
		wasmill__fit(out->direct, out->column, size);
		wasmill_emit(out, data, size);
	}
}

static inline void wasmill_emit(wasmill_out *out, const void *data, uint32_t size) {
	wasmill__output *o = out->direct;
	wasmill__column *c = out->column;
	if (!WASMILL__LIKELY(o != NULL && wasmill__fits(c, size))) {
		wasmill__emit_slow(out, data, size);
		return;
	}
	uint32_t n = o->n;
	wasmill__put(c, n, data, size);
	if (out->timed) o->timestamps[n] = out->in->timestamp;
	if ((o->n = n + 1) == WASMILL__BATCH_RECORDS) wasmill__flush(o);
}

static inline void wasmill_emit_at(wasmill_out *out, int64_t timestamp, const void *data, uint32_t size) {
	int64_t old = out->in->timestamp;
	out->in->timestamp = timestamp;
	wasmill_emit(out, data, size);
	out->in->timestamp = old;
}

static inline void wasmill_emit_side(wasmill_out *out, uint32_t side, const void *data, uint32_t size) {
	wasmill_record r = *out->in;
	r.value = (wasmill_bytes){data, size};
	for (uint32_t i = out->n_outputs; i < out->n_all; i++) {
		if (out->outputs[i].side == side) wasmill__put_record(&out->outputs[i], &r);
	}
}

static void wasmill__run_map(wasmill__node *n, wasmill_record *r) {
	wasmill__deliver_value(&n->out, r, n->function->map(r));
}

static void wasmill__run_filter(wasmill__node *n, wasmill_record *r) {
	if (n->function->filter(r)) wasmill__deliver(&n->out, r);
}

static void wasmill__run_flat_map(wasmill__node *n, wasmill_record *r) {
	n->out.in = r;
	n->function->flat_map(r, &n->out);
}

static void wasmill__run_key(wasmill__node *n, wasmill_record *r) {
	wasmill_bytes old = r->key;
	if (n->function->key_of != NULL) {
		r->key = n->function->key_of == wasmill_value ? r->value : n->function->key_of(r);
		wasmill__deliver(&n->out, r);
	} else {
		wasmill_pair pair = n->function->key_value(r);
		r->key = pair.key;
		wasmill__deliver_value(&n->out, r, pair.value);
	}
	r->key = old;
}

static void wasmill__run_timestamp(wasmill__node *n, wasmill_record *r) {
	int64_t old = r->timestamp;
	if (n->function->watermark == NULL) {
		r->timestamp = n->function->timestamp(r);
		if (r->timestamp > n->newest) n->newest = r->timestamp;
	} else {
		int64_t watermark = WASMILL_NO_TIMESTAMP;
		r->timestamp = n->function->watermark(r, &watermark);
		if (watermark > n->newest) n->newest = watermark;
	}
	wasmill__deliver(&n->out, r);
	r->timestamp = old;
}

static void wasmill__step(wasmill__node *n, wasmill_record *r) {
	switch (n->function->kind) {
	case WASMILL__KEY: wasmill__run_key(n, r); break;
	case WASMILL__MAP: wasmill__run_map(n, r); break;
	case WASMILL__FILTER: wasmill__run_filter(n, r); break;
	case WASMILL__FLAT_MAP: wasmill__run_flat_map(n, r); break;
	case WASMILL__TIMESTAMP: wasmill__run_timestamp(n, r); break;
	default: break;
	}
}

static const wasmill__function *wasmill__function_of(uint32_t id) {
	const wasmill__function *f = wasmill__job.functions;
	while (f != NULL && f->id != id) f = f->next;
	return f;
}

WASMILL__SMALL void wasmill__open_output(wasmill__output *o, uint32_t side, uint32_t number, uint32_t wanted) {
	*o = (wasmill__output){.number = number, .wanted = wanted, .side = side};
	if (wanted & WASMILL__KEYS) o->keys = wasmill__make_column();
	if (wanted & WASMILL__VALUES) o->values = wasmill__make_column();
	if (wanted & WASMILL__HEADERS) o->headers = wasmill__make_column();
	if (wanted & WASMILL__TIMESTAMPS) o->timestamps = wasmill__alloc(8 * WASMILL__BATCH_RECORDS);
	if (wanted & WASMILL__KINDS) o->kinds = wasmill__alloc(WASMILL__BATCH_RECORDS);
}

WASMILL__SMALL void wasmill__free_handle(wasmill__handle *h) {
	for (uint32_t i = 0; i < h->n; i++) {
		wasmill_out *out = &h->nodes[i].out;
		for (uint32_t k = 0; k < out->n_all; k++) {
			wasmill__output *o = &out->outputs[k];
			wasmill__free_column(o->keys);
			wasmill__free_column(o->values);
			wasmill__free_column(o->headers);
			wasmill__free(o->timestamps, 8 * WASMILL__BATCH_RECORDS);
			wasmill__free(o->kinds, WASMILL__BATCH_RECORDS);
		}
		wasmill__free(out->outputs, out->n_all * (uint32_t)sizeof *out->outputs);
		wasmill__free(out->children, h->n * (uint32_t)sizeof *out->children);
	}
	wasmill__free(h->nodes, h->n * (uint32_t)sizeof *h->nodes);
	wasmill__free(h, sizeof *h);
}

// wasmill__open_node reads entry i of a handle's list: u32 size, function, upstream, input number, outputs, config length,
// then the outputs as u32 tag, number, columns.
static uint32_t wasmill__open_node(wasmill__handle *h, uint32_t i, const uint8_t *p) {
	wasmill__node *n = &h->nodes[i];
	n->function = wasmill__function_of(wasmill__load32(p + 4));
	n->upstream = wasmill__load32(p + 8);
	n->input = wasmill__load32(p + 12);
	if (n->function == NULL) return WASMILL__UNKNOWN_FUNCTION;
	wasmill__kind kind = n->function->kind;
	n->gives = WASMILL__VALUES;
	if (n->upstream != WASMILL__NONE) {
		if (n->upstream >= i || wasmill__keyed_kind(kind)) return WASMILL__BAD_INPUT;
		wasmill_out *up = &h->nodes[n->upstream].out;
		n->gives |= h->nodes[n->upstream].gives;
		if (up->children == NULL) up->children = wasmill__alloc(h->n * (uint32_t)sizeof *up->children);
		up->children[up->n_children++] = n;
	}
	if (kind == WASMILL__KEY || wasmill__keyed_kind(kind)) n->gives |= WASMILL__KEYS;
	if (kind == WASMILL__TIMESTAMP) n->gives |= WASMILL__TIMESTAMPS;
	uint32_t outputs = wasmill__load32(p + 16);
	if (outputs == 0) return WASMILL__OK;
	n->out.outputs = wasmill__alloc_zero(outputs * (uint32_t)sizeof *n->out.outputs);
	n->out.n_all = outputs;
	uint32_t sides = outputs; // they fill the list from its end
	for (uint32_t k = 0; k < outputs; k++) {
		const uint8_t *q = p + 24 + 12 * k;
		uint32_t side = wasmill__load32(q);
		if (side > n->function->n_sides) return WASMILL__BAD_INPUT;
		wasmill__output *o = &n->out.outputs[side == 0 ? n->out.n_outputs++ : --sides];
		wasmill__open_output(o, side, wasmill__load32(q + 4), wasmill__load32(q + 8));
	}
	return WASMILL__OK;
}

static wasmill__handle **wasmill__find(uint32_t number) {
	wasmill__handle **h = &wasmill__handles;
	while (*h != NULL && (*h)->number != number) h = &(*h)->next;
	return h;
}

static uint32_t wasmill__close(uint32_t number) {
	wasmill__handle **at = wasmill__find(number), *h = *at;
	if (h == NULL) return WASMILL__UNKNOWN_HANDLE;
	*at = h->next;
	wasmill__free_handle(h);
	return WASMILL__OK;
}

static uint32_t wasmill__open(uint32_t number, const uint8_t *p, uint32_t size) {
	if (size < 8 || wasmill__load32(p) != size) return WASMILL__BAD_INPUT;
	uint32_t n = wasmill__load32(p + 4), status = WASMILL__OK, at = 8;
	wasmill__close(number);
	wasmill__handle *h = wasmill__alloc_zero(sizeof *h);
	h->number = number;
	h->n = n;
	h->nodes = wasmill__alloc_zero(n * (uint32_t)sizeof *h->nodes);
	wasmill__node **last_head = &h->heads;
	for (uint32_t i = 0; i < n && status == WASMILL__OK; i++) {
		if (at + 24 > size || wasmill__load32(p + at) > size - at) {
			status = WASMILL__BAD_INPUT;
		} else {
			status = wasmill__open_node(h, i, p + at);
			if (h->nodes[i].upstream == WASMILL__NONE) {
				*last_head = &h->nodes[i];
				last_head = &h->nodes[i].next_head;
			}
			at += wasmill__load32(p + at);
		}
	}
	if (status != WASMILL__OK) {
		wasmill__free_handle(h);
		return status;
	}
	h->next = wasmill__handles;
	wasmill__handles = h;
	return WASMILL__OK;
}

// wasmill__shorten finds out whether what a function emits may take the short way in this call.
static void wasmill__shorten(wasmill__node *n) {
	wasmill_out *out = &n->out, *last = out;
	uint32_t bit = WASMILL__VALUES;
	out->direct = NULL;
	if (out->n_outputs == 0 && out->n_children == 1 && out->children[0]->function->key_of == wasmill_value) {
		last = &out->children[0]->out;
		bit = WASMILL__KEYS;
	}
	if (last->n_children != 0 || last->n_outputs != 1) return;
	wasmill__output *o = &last->outputs[0];
	if ((o->columns & ~(uint32_t)WASMILL__TIMESTAMPS) != bit) return;
	out->direct = o;
	out->column = bit == WASMILL__KEYS ? o->keys : o->values;
	out->timed = (o->columns & WASMILL__TIMESTAMPS) != 0;
}

// wasmill__begin forgets what a call that failed has left, and settles which columns each output has in this call, in
// which the input has the columns given.
static void wasmill__begin(wasmill__handle *h, uint32_t given) {
	wasmill__failed = false;
	wasmill__record = WASMILL__NONE;
	const uint32_t written = WASMILL__TIMESTAMPS | WASMILL__KEYS | WASMILL__VALUES | WASMILL__KINDS | WASMILL__HEADERS;
	given &= WASMILL__TIMESTAMPS | WASMILL__KEYS | WASMILL__KINDS | WASMILL__HEADERS;
	for (uint32_t i = 0; i < h->n; i++) {
		wasmill__node *n = &h->nodes[i];
		n->newest = WASMILL_NO_TIMESTAMP;
		for (uint32_t k = 0; k < n->out.n_all; k++) {
			wasmill__output *o = &n->out.outputs[k];
			wasmill__reset_output(o);
			o->columns = o->wanted & written & (n->gives | given);
		}
	}
	for (uint32_t i = 0; i < h->n; i++) wasmill__shorten(&h->nodes[i]);
}

// wasmill__end sends what is left, and reports the newest timestamp that every timestamp function has reached.
static uint32_t wasmill__end(wasmill__handle *h) {
	if (wasmill__failed) return WASMILL__FAILED;
	int64_t newest = INT64_MAX;
	bool assigned = false;
	for (uint32_t i = 0; i < h->n; i++) {
		wasmill__node *n = &h->nodes[i];
		for (uint32_t k = 0; k < n->out.n_all; k++) wasmill__flush(&n->out.outputs[k]);
		if (n->function->kind != WASMILL__TIMESTAMP) continue;
		assigned = true;
		if (n->newest < newest) newest = n->newest;
	}
	if (assigned && newest != WASMILL_NO_TIMESTAMP) wasmill_host_watermark(newest);
	return WASMILL__OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Calls with a batch

// wasmill__input is a view of a batch; a column that it has not is NULL.
typedef struct wasmill__input {
	uint32_t n, columns;
	const int64_t *timestamps;
	const uint32_t *key_offsets, *value_offsets, *header_offsets;
	const uint8_t *kinds, *key_nulls, *value_nulls, *keys, *values, *headers;
} wasmill__input;

static const void *wasmill__take_section(const uint8_t **at, uint32_t size) {
	const uint8_t *p = *at;
	*at += wasmill__pad8(size);
	return p;
}

// wasmill__read reads the batch at p, which the host has checked and put on an address that is a multiple of 8.
static bool wasmill__read(wasmill__input *in, const uint8_t *p, uint32_t size) {
	if (size < WASMILL__BATCH_HEADER || wasmill__load16(p) != 1 || wasmill__load32(p + 12) != size) return false;
	uint32_t n = wasmill__load32(p + 8), columns = wasmill__load32(p + 4);
	if (columns >= WASMILL__VALUE_NULLS << 1 || n > size * 8) return false;
	*in = (wasmill__input){.n = n, .columns = columns};
	const uint8_t *at = p + WASMILL__BATCH_HEADER;
	if (columns & WASMILL__TIMESTAMPS) in->timestamps = wasmill__take_section(&at, 8 * n);
	if (columns & WASMILL__KEYS) in->key_offsets = wasmill__take_section(&at, 4 * (n + 1));
	if (columns & WASMILL__VALUES) in->value_offsets = wasmill__take_section(&at, 4 * (n + 1));
	if (columns & WASMILL__KINDS) in->kinds = wasmill__take_section(&at, n);
	if (columns & WASMILL__HASHES) wasmill__take_section(&at, 8 * n);
	if (columns & WASMILL__HEADERS) in->header_offsets = wasmill__take_section(&at, 4 * (n + 1));
	if (columns & WASMILL__KEY_NULLS) in->key_nulls = wasmill__take_section(&at, (n + 7) / 8);
	if (columns & WASMILL__VALUE_NULLS) in->value_nulls = wasmill__take_section(&at, (n + 7) / 8);
	in->keys = wasmill__take_section(&at, wasmill__load32(p + 16));
	in->values = wasmill__take_section(&at, wasmill__load32(p + 20));
	in->headers = wasmill__take_section(&at, wasmill__load32(p + 24));
	return at == p + size;
}

WASMILL__INLINE wasmill_bytes wasmill__string_at(const uint32_t *offsets, const uint8_t *data, const uint8_t *nulls, uint32_t i) {
	if (nulls != NULL && (nulls[i / 8] >> (i % 8) & 1) != 0) return (wasmill_bytes){NULL, 0};
	return (wasmill_bytes){data + offsets[i], offsets[i + 1] - offsets[i]};
}

static void wasmill__run_record(wasmill__handle *h, uint32_t number, wasmill_record *r) {
	for (wasmill__node *n = h->heads; n != NULL; n = n->next_head) {
		if (n->input == number) wasmill__step(n, r);
	}
}

// wasmill__process takes a call header and a batch. Of the header it reads the size and the number of the input.
static uint32_t wasmill__process(uint32_t handle, const uint8_t *p, uint32_t size) {
	wasmill__handle *h = *wasmill__find(handle);
	if (h == NULL) return WASMILL__UNKNOWN_HANDLE;
	if (size < 40 || wasmill__load32(p) > size) return WASMILL__BAD_INPUT;
	uint32_t header = wasmill__load32(p), number = wasmill__load32(p + 4);
	wasmill__input in;
	if (!wasmill__read(&in, p + header, size - header)) return WASMILL__BAD_INPUT;
	wasmill__begin(h, in.columns);
	wasmill_record r = {.timestamp = WASMILL_NO_TIMESTAMP};
	for (uint32_t i = 0; i < in.n && !wasmill__failed; i++) {
		wasmill__record = i;
		wasmill__rewind(&wasmill__scratch_arena);
		if (in.value_offsets != NULL) r.value = wasmill__string_at(in.value_offsets, in.values, in.value_nulls, i);
		if (in.key_offsets != NULL) r.key = wasmill__string_at(in.key_offsets, in.keys, in.key_nulls, i);
		if (in.header_offsets != NULL) r.headers = wasmill__string_at(in.header_offsets, in.headers, NULL, i);
		if (in.timestamps != NULL) r.timestamp = in.timestamps[i];
		if (in.kinds != NULL) r.kind = in.kinds[i];
		wasmill__run_record(h, number, &r);
	}
	return wasmill__end(h);
}

// ---------------------------------------------------------------------------------------------------------------------
// Calls with groups

enum { // verbs
	WASMILL__PROCESS_RECORDS = 1,
	WASMILL__TIMER = 2,
	WASMILL__CREATE = 3,
	WASMILL__ACCUMULATE = 4,
	WASMILL__MERGE = 5,
	WASMILL__RESULT = 6,
	WASMILL__JOIN_RECORDS = 7,
	WASMILL__TRIGGER_WINDOW = 8,
	WASMILL__EVICT_RECORDS = 9,
	WASMILL__GAP_RECORDS = 10,
	WASMILL__PARTITION_RECORDS = 11,
	WASMILL__REQUESTS = 12,
	WASMILL__RESPONSES = 13,
	WASMILL__WINDOW_RESULT = 14,
	WASMILL__BEGIN = 16,
	WASMILL__END = 17,
	WASMILL__APPLY = 18,
};

enum {
	WASMILL__GROUPS_HEADER = 16,
	WASMILL__GROUP_HEADER = 40,
	WASMILL__LIST_HEADER = 24,
	WASMILL__REPLY_HEADER = 16, // of an entry, and of an action
	WASMILL__GROUP_HAS_WINDOW = 1,
	WASMILL__LIST_HAS_TIMESTAMPS = 1,
	WASMILL__GROUP_HAS_TIMER = 2,
	WASMILL__GROUP_PROCESSING_TIMER = 4,
	WASMILL__GROUP_MERGED = 8,
	WASMILL__GROUP_EARLY = 16,
	WASMILL__GROUP_LATE = 32,
	WASMILL__LIST_INPUT = 0,
	WASMILL__LIST_OTHER = 1,
	WASMILL__LIST_ACCUMULATORS = 2,
	WASMILL__LIST_ANSWERS = 3,
	WASMILL__LIST_STATE = 4,
	WASMILL__ACTION_PUT = 1,
	WASMILL__ACTION_CLEAR = 2,
	WASMILL__ACTION_SET_TIMER = 3,
	WASMILL__ACTION_DELETE_TIMER = 4,
	WASMILL__ACTION_TRIGGER = 5,
	WASMILL__ACTION_KEEP = 6,
	WASMILL__ACTION_GAP = 7,
	WASMILL__ACTION_PARTITION = 8,
	WASMILL__ACTION_REQUEST = 9,
	WASMILL__ACTION_APPLY = 10,
};

// wasmill__list is the elements of one list of a group.
typedef struct wasmill__list {
	uint32_t n, total; // total: with those that did not come with the call
	const uint8_t *offsets, *values, *timestamps; // timestamps: NULL without
} wasmill__list;

WASMILL__INLINE wasmill_bytes wasmill__element(const wasmill__list *l, uint32_t i) {
	uint32_t from = wasmill__load32(l->offsets + 4 * i), to = wasmill__load32(l->offsets + 4 * i + 4);
	return (wasmill_bytes){l->values + from, to - from};
}

typedef struct wasmill__group {
	wasmill_group group;
	bool windowed, partial; // partial: elements are missing
	wasmill__list values, other, accumulators, answers;
	uint32_t flags;
	int64_t timer;
	wasmill_clock clock;
	uint32_t n_lists;
	const uint8_t *lists;
} wasmill__group;

// wasmill__read_list reads the list at p: u32 size, u16 tag, index, u32 total, included, flags, value bytes, then timestamps,
// offsets, values.
static wasmill__list wasmill__read_list(const uint8_t *p) {
	uint32_t n = wasmill__load32(p + 12), at = WASMILL__LIST_HEADER;
	wasmill__list l = {.n = n, .total = wasmill__load32(p + 8)};
	if (wasmill__load32(p + 16) & WASMILL__LIST_HAS_TIMESTAMPS) {
		l.timestamps = p + at;
		at += 8 * n;
	}
	l.offsets = p + at;
	l.values = l.offsets + wasmill__pad8(4 * (n + 1));
	return l;
}

// wasmill__read_group reads the group at p: u32 size, flags, i64 window start, end, timer, u32 key length, lists, key, lists.
static void wasmill__read_group(wasmill__group *g, const uint8_t *p) {
	uint32_t key = wasmill__load32(p + 32);
	*g = (wasmill__group){.windowed = (wasmill__load32(p + 4) & WASMILL__GROUP_HAS_WINDOW) != 0, .flags = wasmill__load32(p + 4)};
	g->group.key = (wasmill_bytes){p + WASMILL__GROUP_HEADER, key};
	if (g->windowed) {
		g->group.start = (int64_t)wasmill__load64(p + 8);
		g->group.end = (int64_t)wasmill__load64(p + 16);
	}
	g->timer = (int64_t)wasmill__load64(p + 24);
	g->clock = (wasmill__load32(p + 4) & WASMILL__GROUP_PROCESSING_TIMER) != 0 ? WASMILL_PROCESSING_TIME : WASMILL_EVENT_TIME;
	g->n_lists = wasmill__load32(p + 36);
	const uint8_t *list = g->lists = p + WASMILL__GROUP_HEADER + wasmill__pad8(key);
	for (uint32_t left = g->n_lists; left > 0; left--, list += wasmill__load32(list)) {
		uint32_t tag = wasmill__load16(list + 4);
		wasmill__list l = wasmill__read_list(list);
		if (l.total != l.n) g->partial = true;
		if (tag == WASMILL__LIST_INPUT) g->values = l;
		if (tag == WASMILL__LIST_OTHER) g->other = l;
		if (tag == WASMILL__LIST_ACCUMULATORS) g->accumulators = l;
		if (tag == WASMILL__LIST_ANSWERS) g->answers = l;
	}
}

static wasmill__buffer wasmill__reply;
static wasmill__buffer wasmill__kept[2]; // an accumulator between two calls of the user's function; they take turns

// wasmill__keep copies an accumulator out of scratch memory, which is then free again: a group may have any number of
// records.
static wasmill_bytes wasmill__keep(wasmill_bytes accumulator, uint32_t turn) {
	wasmill__buffer *b = &wasmill__kept[turn & 1];
	b->size = 0;
	wasmill__append(b, accumulator.data, accumulator.size);
	wasmill__rewind(&wasmill__scratch_arena);
	return (wasmill_bytes){b->data, b->size};
}

static bool wasmill__accumulate(const wasmill__function *f, const wasmill__group *g, wasmill_bytes *accumulator) {
	wasmill_bytes acc;
	uint32_t i = 0;
	if (g->accumulators.n > 0) {
		acc = wasmill__element(&g->accumulators, 0);
	} else if (g->values.n == 0) {
		return false;
	} else if (f->kind == WASMILL__REDUCE) {
		acc = wasmill__element(&g->values, i++);
	} else {
		acc = wasmill__keep(f->aggregator.create(), 0);
	}
	wasmill_bytes (*add)(wasmill_bytes, wasmill_bytes) = f->kind == WASMILL__REDUCE ? f->reduce : f->aggregator.add;
	for (uint32_t turn = 1; i < g->values.n && !wasmill__failed; i++) {
		acc = wasmill__keep(add(acc, wasmill__element(&g->values, i)), turn++);
	}
	*accumulator = acc;
	return true;
}

static bool wasmill__merge(const wasmill__function *f, const wasmill__group *g, wasmill_bytes *accumulator) {
	if (g->accumulators.n == 0) return false;
	wasmill_bytes (*merge)(wasmill_bytes, wasmill_bytes) = f->kind == WASMILL__REDUCE ? f->reduce : f->aggregator.merge;
	wasmill_bytes acc = wasmill__element(&g->accumulators, 0);
	for (uint32_t i = 1; i < g->accumulators.n && !wasmill__failed; i++) {
		acc = wasmill__keep(merge(acc, wasmill__element(&g->accumulators, i)), i);
	}
	*accumulator = acc;
	return true;
}

static void wasmill__set_field(wasmill_row *row, uint32_t i, const char *codec, wasmill_bytes v) {
	if (wasmill_same(codec, WASMILL_I64) || wasmill_same(codec, WASMILL_F64)) {
		wasmill_row_set_i64(row, i, wasmill_as_i64(v));
	} else {
		wasmill_row_set_bytes(row, i, v);
	}
}

// wasmill__result_row renders row(key, value), with a window row(start, end, key, value).
static wasmill_bytes wasmill__result_row(const wasmill__function *f, const wasmill__group *g, wasmill_bytes value) {
	uint32_t first = g->windowed ? 2 : 0;
	wasmill_row row = wasmill_row_begin(first + 2);
	if (g->windowed) {
		wasmill_row_set_i64(&row, 0, g->group.start);
		wasmill_row_set_i64(&row, 1, g->group.end);
	}
	bool aggregate = f->kind == WASMILL__AGGREGATE;
	wasmill__set_field(&row, first, f->key, g->group.key);
	wasmill__set_field(&row, first + 1, aggregate ? f->aggregator.result_codec : f->accumulator, value);
	return wasmill_row_end(&row);
}

static void wasmill__emit_result(wasmill__node *n, const wasmill__group *g) {
	const wasmill__function *f = n->function;
	wasmill_bytes acc;
	if (!wasmill__merge(f, g, &acc) || wasmill__failed) return;
	wasmill_record r = {.key = g->group.key, .timestamp = g->windowed ? g->group.end - 1 : WASMILL_NO_TIMESTAMP};
	if (f->result != NULL) {
		r.value = f->result(&g->group, acc);
	} else {
		r.value = wasmill__result_row(f, g, f->kind == WASMILL__AGGREGATE ? f->aggregator.result(acc) : acc);
	}
	wasmill__deliver(&n->out, &r);
}

static wasmill_record wasmill__record_of(const wasmill__group *g, const wasmill__list *l, uint32_t i) {
	wasmill_record r = {.key = g->group.key, .value = wasmill__element(l, i), .timestamp = WASMILL_NO_TIMESTAMP};
	if (l->timestamps != NULL) r.timestamp = (int64_t)wasmill__load64(l->timestamps + 8 * i);
	return r;
}

// wasmill__join runs the function for each two records of a group, or those that are alone. What it emits has the later of their
// times, or the last of their window.
static void wasmill__join(wasmill__node *n, const wasmill__group *g) {
	wasmill_record window = {.key = g->group.key, .value.data = (const uint8_t *)"", .timestamp = g->group.end - 1}, left = window, right = window;
	bool lefts = g->values.n > 0, rights = g->other.n > 0;
	for (uint32_t i = 0; i < (lefts ? g->values.n : 1); i++) {
		if (lefts) left = wasmill__record_of(g, &g->values, i);
		for (uint32_t k = 0; k < (rights ? g->other.n : 1) && !wasmill__failed; k++) {
			wasmill__rewind(&wasmill__scratch_arena);
			if (rights) right = wasmill__record_of(g, &g->other, k);
			n->out.in = g->windowed ? &window : left.timestamp > right.timestamp ? &left : &right;
			n->function->join(lefts ? &left : NULL, rights ? &right : NULL, &n->out);
		}
	}
}

// The reply is an entry a group that something is answered for: u32 size, group, actions, 0; then an action each: u32 size,
// u16 op, index, then i64 time, or u32 length, u32 0, value, padding.
static uint32_t wasmill__entry; // where the open one begins

static void wasmill__begin_entry(uint32_t group) {
	uint8_t *p = wasmill__room(&wasmill__reply, WASMILL__REPLY_HEADER);
	wasmill__zero(p, WASMILL__REPLY_HEADER);
	wasmill__store32(p + 4, group);
	wasmill__entry = wasmill__reply.size;
	wasmill__reply.size += WASMILL__REPLY_HEADER;
}

static void wasmill__end_entry(void) {
	uint8_t *p = wasmill__reply.data + wasmill__entry;
	wasmill__store32(p, wasmill__reply.size - wasmill__entry);
	if (wasmill__load32(p + 8) == 0) wasmill__reply.size = wasmill__entry; // without actions there is none
}

static void wasmill__action(uint32_t op, uint32_t index, uint64_t time_or_length, wasmill_bytes value) {
	uint32_t size = WASMILL__REPLY_HEADER + wasmill__pad8(value.size);
	uint8_t *p = wasmill__room(&wasmill__reply, size), *entry = wasmill__reply.data + wasmill__entry;
	wasmill__store64(p + size - 8, 0);
	wasmill__store32(p, size);
	wasmill__store16(p + 4, (uint16_t)op);
	wasmill__store16(p + 6, (uint16_t)index);
	wasmill__store64(p + 8, time_or_length);
	wasmill__copy(p + WASMILL__REPLY_HEADER, value.data, value.size);
	wasmill__reply.size += size;
	wasmill__store32(entry + 8, wasmill__load32(entry + 8) + 1);
}

static void wasmill__reply_put(uint32_t group, wasmill_bytes accumulator) {
	wasmill__begin_entry(group);
	wasmill__action(WASMILL__ACTION_PUT, 0, accumulator.size, accumulator);
	wasmill__end_entry();
}

// wasmill__partition answers the subtask of each record of the group.
static void wasmill__partition(const wasmill__function *f, const wasmill__group *g, uint32_t receivers) {
	static wasmill__buffer targets;
	targets.size = 0;
	for (uint32_t i = 0; i < g->values.n && !wasmill__failed; i++) {
		wasmill__rewind(&wasmill__scratch_arena);
		wasmill_record r = {.value = wasmill__element(&g->values, i), .timestamp = WASMILL_NO_TIMESTAMP};
		if (g->values.timestamps != NULL) r.timestamp = (int64_t)wasmill__load64(g->values.timestamps + 8 * i);
		uint32_t to = f->partition(&r, receivers);
		if (to >= receivers) wasmill_fail("a partition function answered a subtask that there is not");
		wasmill__store32(wasmill__room(&targets, 4), to);
		targets.size += 4;
	}
	wasmill__begin_entry(wasmill__record);
	wasmill__action(WASMILL__ACTION_PARTITION, 0, targets.size, (wasmill_bytes){targets.data, targets.size});
	wasmill__end_entry();
}

// wasmill__gaps answers the gap of each record of the group, and wasmill__evict which of them stay.
static void wasmill__gaps(const wasmill__function *f, const wasmill__group *g) {
	static wasmill__buffer gaps;
	gaps.size = 0;
	for (uint32_t i = 0; i < g->values.n && !wasmill__failed; i++) {
		wasmill__rewind(&wasmill__scratch_arena);
		wasmill_record r = wasmill__record_of(g, &g->values, i);
		int64_t gap = f->gap(&r);
		wasmill__append(&gaps, (const uint8_t *)&gap, 8);
	}
	wasmill__begin_entry(wasmill__record);
	wasmill__action(WASMILL__ACTION_GAP, 0, gaps.size, (wasmill_bytes){gaps.data, gaps.size});
	wasmill__end_entry();
}

static void wasmill__evict(const wasmill__function *f, const wasmill__group *g) {
	static wasmill__buffer records, stay, bits;
	uint32_t n = g->values.n, bytes = (n + 7) / 8;
	records.size = stay.size = bits.size = 0;
	for (uint32_t i = 0; i < n; i++) {
		wasmill_record r = wasmill__record_of(g, &g->values, i);
		wasmill__append(&records, (const uint8_t *)&r, sizeof r);
	}
	uint8_t *stays = wasmill__room(&stay, n + 1), *map = wasmill__room(&bits, bytes + 1);
	wasmill__zero(stays, n + 1);
	wasmill__zero(map, bytes + 1);
	f->evict(&g->group, (const wasmill_record *)records.data, n, (bool *)stays);
	for (uint32_t i = 0; i < n; i++) map[i / 8] |= (uint8_t)(stays[i] << (i % 8));
	wasmill__begin_entry(wasmill__record);
	wasmill__action(WASMILL__ACTION_KEEP, 0, bytes, (wasmill_bytes){map, bytes});
	wasmill__end_entry();
}

static wasmill__buffer wasmill__writes;  // requests to the import state that wait to be sent
static wasmill_context wasmill__context; // of the call

static void wasmill__run_group(wasmill__node *n, uint32_t verb, const wasmill__group *g, uint32_t parallelism) {
	const wasmill__function *f = n->function;
	wasmill_bytes acc = {0};
	bool put = false;
	if (f->run_process != NULL && (f->kind != WASMILL__WINDOW || verb == WASMILL__WINDOW_RESULT)) {
		f->run_process(n, verb, g);
		return;
	}
	if (f->run_request != NULL) {
		f->run_request(n, verb, g);
		return;
	}
	if (g->partial) wasmill_fail("a group of which not all elements came with the call");
	if (verb == WASMILL__ACCUMULATE) put = wasmill__accumulate(f, g, &acc);
	if (verb == WASMILL__MERGE) put = wasmill__merge(f, g, &acc);
	if (verb == WASMILL__CREATE) acc = f->aggregator.create(), put = true;
	if (verb == WASMILL__RESULT) wasmill__emit_result(n, g);
	if (verb == WASMILL__PARTITION_RECORDS) wasmill__partition(f, g, parallelism);
	if (verb == WASMILL__EVICT_RECORDS) wasmill__evict(f, g);
	if (verb == WASMILL__GAP_RECORDS) wasmill__gaps(f, g);
	if (verb == WASMILL__JOIN_RECORDS) wasmill__join(n, g);
	if (put && !wasmill__failed) wasmill__reply_put(wasmill__record, acc);
}

// wasmill__knows says whether a verb is one of the function's.
static bool wasmill__knows(const wasmill__function *f, uint32_t verb) {
	switch (f->kind) {
	case WASMILL__PROCESS: return verb == WASMILL__PROCESS_RECORDS || (verb == WASMILL__TIMER && f->processor.timer != NULL) || (verb == WASMILL__BEGIN && f->processor.begin != NULL) || (verb == WASMILL__APPLY && f->processor.apply != NULL);
	case WASMILL__MAP_PARTITION: return verb == WASMILL__PROCESS_RECORDS || verb == WASMILL__BEGIN || verb == WASMILL__END;
	case WASMILL__AGGREGATE: return verb >= WASMILL__CREATE && verb <= WASMILL__RESULT;
	case WASMILL__JOIN: return verb == WASMILL__JOIN_RECORDS;
	case WASMILL__REQUEST: return verb == WASMILL__REQUESTS || verb == WASMILL__RESPONSES;
	case WASMILL__PARTITION: return verb == WASMILL__PARTITION_RECORDS;
	case WASMILL__WINDOW: return verb == WASMILL__WINDOW_RESULT || (f->accumulator != NULL && verb >= WASMILL__CREATE && verb <= WASMILL__MERGE);
	case WASMILL__TRIGGER: return verb == WASMILL__TRIGGER_WINDOW;
	case WASMILL__EVICT: return verb == WASMILL__EVICT_RECORDS;
	case WASMILL__GAP: return verb == WASMILL__GAP_RECORDS;
	default: return verb > WASMILL__CREATE && verb <= WASMILL__RESULT;
	}
}

// wasmill__keyed_call takes a call header and a list of groups. Of what is accumulated, only windows give results a
// timestamp, so whether they have one is asked of the first group.
static uint32_t wasmill__keyed_call(uint32_t handle, uint32_t verb, const uint8_t *p, uint32_t size) {
	wasmill__handle *h = *wasmill__find(handle);
	if (h == NULL) return WASMILL__UNKNOWN_HANDLE;
	if (size < 40 || wasmill__load32(p) > size - WASMILL__GROUPS_HEADER) return WASMILL__BAD_INPUT;
	const uint8_t *at = p + wasmill__load32(p), *end = p + size;
	uint32_t n = wasmill__load32(at + 4);
	at += wasmill__load32(at);
	wasmill__node *node = h->n > 0 ? &h->nodes[0] : NULL;
	if (node == NULL || !wasmill__keyed_kind(node->function->kind)) return WASMILL__UNKNOWN_FUNCTION;
	if (!wasmill__knows(node->function, verb)) return WASMILL__UNKNOWN_VERB;
	bool process = node->function->kind == WASMILL__PROCESS || node->function->kind == WASMILL__MAP_PARTITION;
	bool timed = process || node->function->kind == WASMILL__JOIN || node->function->kind == WASMILL__REQUEST || (n > 0 && (wasmill__load32(at + 4) & WASMILL__GROUP_HAS_WINDOW) != 0);
	wasmill__begin(h, WASMILL__KEYS | (timed ? WASMILL__TIMESTAMPS : 0));
	wasmill__reply.size = 0;
	wasmill__writes.size = 0;
	wasmill__context.watermark = (int64_t)wasmill__load64(p + 8);
	wasmill__context.now = (int64_t)wasmill__load64(p + 16);
	wasmill__context.subtask = wasmill__load32(p + 28);
	wasmill__context.parallelism = wasmill__load32(p + 32);
	for (uint32_t i = 0; i < n && !wasmill__failed; i++) {
		if ((uint32_t)(end - at) < WASMILL__GROUP_HEADER || wasmill__load32(at) > (uint32_t)(end - at)) return WASMILL__BAD_INPUT;
		wasmill__record = i;
		wasmill__rewind(&wasmill__scratch_arena);
		wasmill__group g;
		wasmill__read_group(&g, at);
		wasmill__run_group(node, verb, &g, wasmill__load32(p + 32));
		at += wasmill__load32(at);
	}
	if (node->function->end_process != NULL && !wasmill__failed) node->function->end_process();
	if (wasmill__reply.size > 0 && !wasmill__failed) wasmill_host_reply(wasmill__reply.data, wasmill__reply.size);
	return wasmill__end(h);
}

// ---------------------------------------------------------------------------------------------------------------------
// Request functions

struct wasmill_request {
	const char *method; // NULL: nothing is asked
	wasmill__buffer url, headers, body;
};

static wasmill_request wasmill__inquiry; // about the record that runs

static void wasmill_http(wasmill_request *r, const char *method, wasmill_bytes url, wasmill_bytes body) {
	r->method = method;
	r->url.size = r->body.size = 0;
	wasmill__append(&r->url, url.data, url.size);
	wasmill__append(&r->body, body.data, body.size);
}

static void wasmill_http_header(wasmill_request *r, const char *name, const char *value) {
	uint32_t n = wasmill__length(name), v = wasmill__length(value);
	uint8_t *p = wasmill__room(&r->headers, 8);
	wasmill__store32(p, n);
	wasmill__store32(p + 4, v);
	r->headers.size += 8;
	wasmill__append(&r->headers, name, n);
	wasmill__append(&r->headers, value, v);
}

static uint8_t wasmill__lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c; }

static wasmill_bytes wasmill_response_header(const wasmill_response *r, const char *name) {
	uint32_t n = wasmill__length(name);
	for (uint32_t at = 0; at + 8 <= r->headers.size;) {
		const uint8_t *p = r->headers.data + at;
		uint32_t have = wasmill__load32(p), value = wasmill__load32(p + 4), same = 0;
		while (have == n && same < n && wasmill__lower(p[8 + same]) == wasmill__lower((uint8_t)name[same])) same++;
		if (have == n && same == n) return (wasmill_bytes){p + 8 + have, value};
		at += 8 + have + value;
	}
	return (wasmill_bytes){NULL, 0};
}

// wasmill__reply_request answers what is asked about the record of the group: u32 record, timeout, target length, body length,
// target, body, which is u32 method length, URL length, header bytes, body length, method, URL, headers, body.
static void wasmill__reply_request(const wasmill_request *r) {
	static wasmill__buffer value;
	uint32_t method = wasmill__length(r->method);
	uint32_t lengths[8] = {0, 0, 4, 16 + method + r->url.size + r->headers.size + r->body.size, method, r->url.size, r->headers.size, r->body.size};
	value.size = 0;
	for (uint32_t i = 0; i < 8; i++) {
		if (i == 4) wasmill__append(&value, "http", 4);
		uint8_t *p = wasmill__room(&value, 4);
		wasmill__store32(p, lengths[i]);
		value.size += 4;
	}
	wasmill__append(&value, r->method, method);
	wasmill__append(&value, r->url.data, r->url.size);
	wasmill__append(&value, r->headers.data, r->headers.size);
	wasmill__append(&value, r->body.data, r->body.size);
	wasmill__begin_entry(wasmill__record);
	wasmill__action(WASMILL__ACTION_REQUEST, 0, value.size, (wasmill_bytes){value.data, value.size});
	wasmill__end_entry();
}

// wasmill__read_response reads an answer: u32 outcome, u32 status, then u32 header bytes, body length, headers, body, or why
// there is none.
static wasmill_response wasmill__read_response(wasmill_bytes answer) {
	enum { ANSWERED, TIMED_OUT, REFUSED, BROKEN, UNASKED };
	uint32_t outcome = wasmill__load32(answer.data);
	wasmill_response r = {.asked = outcome != UNASKED, .timed_out = outcome == TIMED_OUT, .refused = outcome == REFUSED};
	r.broken = r.asked && outcome != ANSWERED && !r.timed_out && !r.refused;
	r.body = (wasmill_bytes){answer.data + 8, answer.size - 8};
	if (outcome != ANSWERED) return r;
	r.status = wasmill__load32(answer.data + 4);
	r.headers = (wasmill_bytes){answer.data + 16, wasmill__load32(answer.data + 8)};
	r.body = (wasmill_bytes){r.headers.data + r.headers.size, wasmill__load32(answer.data + 12)};
	return r;
}

static void wasmill__run_request(wasmill__node *n, uint32_t verb, const wasmill__group *g) {
	for (uint32_t i = 0; i < g->values.n && !wasmill__failed; i++) {
		wasmill__rewind(&wasmill__scratch_arena);
		wasmill_record r = wasmill__record_of(g, &g->values, i);
		if (verb == WASMILL__REQUESTS) {
			wasmill__inquiry.method = NULL;
			wasmill__inquiry.headers.size = 0;
			n->function->async.request(&r, &wasmill__inquiry);
			if (wasmill__inquiry.method != NULL && !wasmill__failed) wasmill__reply_request(&wasmill__inquiry);
			continue;
		}
		wasmill_response answer = wasmill__read_response(wasmill__element(&g->answers, i));
		n->out.in = &r;
		n->function->async.response(&r, &answer, &n->out);
	}
}

WASMILL__SMALL void wasmill__json_strings(wasmill__json *w, const char *key, const char *const *list) {
	wasmill__json_open(w, key, "[");
	for (uint32_t i = 0; i < WASMILL_MAX_HOSTS && list[i] != NULL; i++) wasmill__json_string(w, NULL, list[i]);
	wasmill__json_close(w, "]");
}

WASMILL__SMALL void wasmill__write_requests(wasmill__json *w, const wasmill_async *a) {
	wasmill__json_open(w, "requests", "{");
	wasmill__json_string(w, "client", "http");
	wasmill__json_strings(w, "hosts", a->hosts);
	wasmill__json_string(w, "order", a->ordered ? "ordered" : "unordered");
	if (a->capacity != 0) wasmill__json_number(w, "capacity", a->capacity);
	if (a->timeout_ms != 0) wasmill__json_number(w, "timeoutMs", a->timeout_ms);
	if (a->retries != 0) {
		wasmill__json_open(w, "retry", "{");
		wasmill__json_number(w, "retries", a->retries);
		if (a->delay_ms != 0) wasmill__json_number(w, "delayMs", a->delay_ms);
		if (a->max_delay_ms != 0) wasmill__json_number(w, "maxDelayMs", a->max_delay_ms);
		if (a->grow_percent != 0) wasmill__json_number(w, "growPercent", a->grow_percent);
		if (a->retry_on[0] != NULL) wasmill__json_strings(w, "on", a->retry_on);
		wasmill__json_close(w, "}");
	}
	wasmill__json_close(w, "}");
}

// ---------------------------------------------------------------------------------------------------------------------
// Process functions

enum { // ops of the import state
	WASMILL__STATE_GET = 1,
	WASMILL__STATE_PUT = 2,
	WASMILL__STATE_DELETE = 3,
	WASMILL__STATE_APPEND = 4,
	WASMILL__STATE_SCAN = 5,
	WASMILL__STATE_RECORDS = 6,
	WASMILL__STATE_REQUEST = 32, // bytes before the key
	WASMILL__STATE_ANSWER = 32,  // bytes before the timestamps
	WASMILL__STATE_MORE = 1,     // flags of an answer
	WASMILL__STATE_HAS_KEYS = 2,
	WASMILL__STATE_HAS_TIMESTAMPS = 4,
};

// wasmill__value is a value state of the group that runs. A new value is written beside the old one, of which it may have
// been made.
typedef struct wasmill__value {
	bool known, changed;
	wasmill_bytes value;
	wasmill__buffer kept[2];
	uint32_t turn;
} wasmill__value;

static wasmill__value wasmill__values[WASMILL_MAX_STATES];
static uint32_t wasmill__writes_op;
static wasmill__buffer wasmill__asked, wasmill__answered; // of reads whose answer is copied at once

// wasmill__request adds a request to a list: u32 size, group, u16 state, u16 0, u32 limit, u64 cursor, u32 key length, u32
// value length, key, value, both padded.
static void wasmill__request(wasmill__buffer *b, uint32_t group, uint32_t state, uint64_t cursor, wasmill_bytes key, wasmill_bytes value) {
	if (b->size == 0) {
		wasmill__store64(wasmill__room(b, 8), 0);
		b->size = 8;
	}
	uint32_t keys = wasmill__pad8(key.size), size = WASMILL__STATE_REQUEST + keys + wasmill__pad8(value.size);
	uint8_t *p = wasmill__room(b, size);
	wasmill__zero(p, size);
	wasmill__store32(p, size);
	wasmill__store32(p + 4, group);
	wasmill__store16(p + 8, (uint16_t)state);
	wasmill__store64(p + 16, cursor);
	wasmill__store32(p + 24, key.size);
	wasmill__store32(p + 28, value.size);
	wasmill__copy(p + WASMILL__STATE_REQUEST, key.data, key.size);
	wasmill__copy(p + WASMILL__STATE_REQUEST + keys, value.data, value.size);
	b->size += size;
	wasmill__store32(b->data, wasmill__load32(b->data) + 1);
}

static void wasmill__send_writes(void) {
	if (wasmill__writes.size == 0) return;
	wasmill_host_state(wasmill__writes_op, wasmill__writes.data, wasmill__writes.size, NULL, 0);
	wasmill__writes.size = 0;
}

static void wasmill__end_process(void) { wasmill__send_writes(); }

// wasmill__ask sends what waits and then what is asked, which is forgotten, and returns the first answer.
static const uint8_t *wasmill__ask(uint32_t op, wasmill__buffer *answers) {
	wasmill__send_writes();
	answers->size = 0;
	wasmill__room(answers, 1u << 12);
	uint32_t needed;
	while ((needed = wasmill_host_state(op, wasmill__asked.data, wasmill__asked.size, answers->data, answers->capacity)) > answers->capacity) {
		wasmill__room(answers, needed);
	}
	wasmill__asked.size = 0;
	return answers->data + 8;
}

// wasmill__answer is the answer to one request.
typedef struct wasmill__answer {
	uint32_t n, flags;
	uint64_t cursor;
	wasmill__list keys, values; // the timestamps are with the values
} wasmill__answer;

// wasmill__read_answer reads the answer at p: u32 size, flags, u64 cursor, u32 elements, key bytes, value bytes, 0, then
// timestamps, key offsets, value offsets, keys, values. It returns the place of the next one.
static const uint8_t *wasmill__read_answer(wasmill__answer *a, const uint8_t *p) {
	uint32_t n = wasmill__load32(p + 16), flags = wasmill__load32(p + 4), offsets = wasmill__pad8(4 * (n + 1));
	*a = (wasmill__answer){.n = n, .flags = flags, .cursor = wasmill__load64(p + 8), .keys.n = n, .values.n = n};
	const uint8_t *at = p + WASMILL__STATE_ANSWER;
	if (flags & WASMILL__STATE_HAS_TIMESTAMPS) {
		a->values.timestamps = at;
		at += 8 * n;
	}
	if (flags & WASMILL__STATE_HAS_KEYS) {
		a->keys.offsets = at;
		at += offsets;
	}
	a->values.offsets = at;
	a->keys.values = at + offsets;
	a->values.values = a->keys.values + wasmill__pad8(wasmill__load32(p + 20));
	return p + wasmill__load32(p);
}

// wasmill__whose is the group that a state is asked of.
static uint32_t wasmill__whose(const wasmill_context *c, uint32_t state) {
	return state < c->function->n_states && wasmill__is_own(&c->function->processor.states[state]) ? WASMILL__NONE : c->group;
}

static void wasmill__write(uint32_t op, const wasmill_context *c, uint32_t state, wasmill_bytes key, wasmill_bytes value) {
	if (op != wasmill__writes_op || wasmill__writes.size >= WASMILL__COLUMN_BYTES) wasmill__send_writes();
	wasmill__writes_op = op;
	wasmill__request(&wasmill__writes, wasmill__whose(c, state), state, 0, key, value);
}

// wasmill__is_list says whether a state is a list, of a key or of the operator.
static bool wasmill__is_list(const wasmill_context *c, uint32_t state) {
	if (state >= c->function->n_states) return false;
	wasmill_state_kind kind = c->function->processor.states[state].kind;
	return kind == WASMILL_LIST_STATE || kind > WASMILL_BROADCAST_STATE;
}

static bool wasmill__is_state(const wasmill_context *c, uint32_t state, wasmill_state_kind kind) {
	if (state < c->function->n_states && c->function->processor.states[state].kind == kind) return true;
	wasmill_fail("a state that the function has not declared, or of another kind");
	return false;
}

static void wasmill__keep_value(wasmill__value *s, wasmill_bytes value) {
	wasmill__buffer *b = &s->kept[++s->turn & 1];
	b->size = 0;
	if (value.data == NULL) {
		s->value = (wasmill_bytes){NULL, 0};
		return;
	}
	wasmill__room(b, value.size + 1); // so that an empty value has an address
	wasmill__append(b, value.data, value.size);
	s->value = (wasmill_bytes){b->data, b->size};
}

// wasmill__fetch asks for one element of a state.
static wasmill_bytes wasmill__fetch(const wasmill_context *c, uint32_t state, wasmill_bytes key) {
	wasmill__answer a;
	wasmill__request(&wasmill__asked, wasmill__whose(c, state), state, 0, key, (wasmill_bytes){0});
	wasmill__read_answer(&a, wasmill__ask(WASMILL__STATE_GET, &wasmill__answered));
	return a.n > 0 ? wasmill__element(&a.values, 0) : (wasmill_bytes){NULL, 0};
}

__attribute__((unused)) static wasmill_bytes wasmill_get(wasmill_context *c, uint32_t state) {
	if (!wasmill__is_state(c, state, WASMILL_VALUE_STATE)) return (wasmill_bytes){NULL, 0};
	wasmill__value *s = &wasmill__values[state];
	if (!s->known) {
		wasmill__keep_value(s, wasmill__fetch(c, state, (wasmill_bytes){0}));
		s->known = true;
	}
	return s->value;
}

__attribute__((unused)) static void wasmill_put(wasmill_context *c, uint32_t state, wasmill_bytes value) {
	if (!wasmill__is_state(c, state, WASMILL_VALUE_STATE)) return;
	wasmill__value *s = &wasmill__values[state];
	wasmill__keep_value(s, value);
	s->known = s->changed = true;
}

__attribute__((unused)) static void wasmill_add(wasmill_context *c, uint32_t state, wasmill_bytes value) {
	if (!wasmill__is_state(c, state, WASMILL_VALUE_STATE)) return;
	const wasmill_state *s = &c->function->processor.states[state];
	wasmill_bytes before = wasmill_get(c, state);
	if (s->reduce != NULL) {
		wasmill_put(c, state, before.data == NULL ? value : s->reduce(before, value));
	} else if (s->aggregator != NULL) {
		wasmill_put(c, state, s->aggregator->add(before.data == NULL ? s->aggregator->create() : before, value));
	} else {
		wasmill_fail("a state that nothing can be added to: it has neither reduce nor an aggregator");
	}
}

__attribute__((unused)) static wasmill_bytes wasmill_result(wasmill_context *c, uint32_t state) {
	wasmill_bytes v = wasmill_get(c, state);
	if (v.data == NULL || wasmill__failed) return v;
	const wasmill_aggregator *a = c->function->processor.states[state].aggregator;
	return a == NULL ? v : a->result(v);
}

static inline int64_t wasmill_get_i64(wasmill_context *c, uint32_t state, int64_t otherwise) {
	wasmill_bytes v = wasmill_get(c, state);
	return v.data == NULL ? otherwise : wasmill_as_i64(v);
}

static inline void wasmill_put_i64(wasmill_context *c, uint32_t state, int64_t value) {
	wasmill_put(c, state, (wasmill_bytes){(const uint8_t *)&value, sizeof value});
}

__attribute__((unused)) static void wasmill_clear(wasmill_context *c, uint32_t state) {
	if (state < c->function->n_states && c->function->processor.states[state].kind != WASMILL_VALUE_STATE) {
		wasmill__write(WASMILL__STATE_DELETE, c, state, (wasmill_bytes){0}, (wasmill_bytes){0});
	} else {
		wasmill_put(c, state, (wasmill_bytes){NULL, 0});
	}
}

__attribute__((unused)) static void wasmill_list_add(wasmill_context *c, uint32_t state, wasmill_bytes element) {
	if (wasmill__is_list(c, state) || wasmill__is_state(c, state, WASMILL_LIST_STATE)) wasmill__write(WASMILL__STATE_APPEND, c, state, (wasmill_bytes){0}, element);
}

static bool wasmill__is_map(const wasmill_context *c, uint32_t state) {
	if (state < c->function->n_states && c->function->processor.states[state].kind == WASMILL_BROADCAST_STATE) return true;
	return wasmill__is_state(c, state, WASMILL_MAP_STATE);
}

// wasmill__is_key checks a key of a map: an empty one means all of them to the host.
static bool wasmill__is_key(const wasmill_context *c, uint32_t state, wasmill_bytes key) {
	if (!wasmill__is_map(c, state)) return false;
	if (key.size == 0) wasmill_fail("an empty key of a map state");
	return key.size > 0;
}

__attribute__((unused)) static void wasmill_map_put(wasmill_context *c, uint32_t state, wasmill_bytes key, wasmill_bytes value) {
	if (wasmill__is_key(c, state, key)) wasmill__write(WASMILL__STATE_PUT, c, state, key, value);
}

__attribute__((unused)) static void wasmill_map_delete(wasmill_context *c, uint32_t state, wasmill_bytes key) {
	if (wasmill__is_key(c, state, key)) wasmill__write(WASMILL__STATE_DELETE, c, state, key, (wasmill_bytes){0});
}

// wasmill__copied copies what was read to scratch memory.
static wasmill_bytes wasmill__copied(wasmill_bytes b) {
	uint8_t *p = wasmill_scratch(b.size + 1);
	wasmill__copy(p, b.data, b.size);
	return b.data == NULL ? b : (wasmill_bytes){p, b.size};
}

__attribute__((unused)) static wasmill_bytes wasmill_map_get(wasmill_context *c, uint32_t state, wasmill_bytes key) {
	if (!wasmill__is_key(c, state, key)) return (wasmill_bytes){NULL, 0};
	return wasmill__copied(wasmill__fetch(c, state, key));
}

__attribute__((unused)) static void wasmill_map_get_all(wasmill_context *c, uint32_t state, const wasmill_bytes *keys, wasmill_bytes *values, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) {
		values[i] = (wasmill_bytes){NULL, 0};
		if (!wasmill__is_key(c, state, keys[i])) {
			wasmill__asked.size = 0;
			return;
		}
		wasmill__request(&wasmill__asked, wasmill__whose(c, state), state, 0, keys[i], (wasmill_bytes){0});
	}
	if (n == 0) return;
	const uint8_t *at = wasmill__ask(WASMILL__STATE_GET, &wasmill__answered);
	for (uint32_t i = 0; i < n; i++) {
		wasmill__answer a;
		at = wasmill__read_answer(&a, at);
		if (a.n > 0) values[i] = wasmill__copied(wasmill__element(&a.values, 0));
	}
}

// wasmill__page is as much of a state as the host answers at once. It lies in scratch memory.
typedef struct wasmill__page {
	uint32_t op, group; // to ask for it
	uint32_t state, at; // at: the next element; state: or the tag of a list of records
	wasmill__answer answer;
	uint8_t *data;
	uint32_t capacity;
} wasmill__page;

#define WASMILL__PAGE_BYTES 1024u

// wasmill__turn reads the page that begins at the cursor.
static void wasmill__turn(wasmill__page *p, uint64_t cursor) {
	wasmill__send_writes();
	wasmill__request(&wasmill__asked, p->group, p->state, cursor, (wasmill_bytes){0}, (wasmill_bytes){0});
	uint32_t needed;
	while ((needed = wasmill_host_state(p->op, wasmill__asked.data, wasmill__asked.size, p->data, p->capacity)) > p->capacity) {
		p->capacity = 1u << wasmill__class_of(needed);
		p->data = wasmill_scratch(p->capacity);
	}
	wasmill__asked.size = 0;
	wasmill__read_answer(&p->answer, p->data + 8);
	p->at = 0;
}

static wasmill__page *wasmill__new_page(uint32_t op, uint32_t group, uint32_t state) {
	wasmill__page *p = wasmill_scratch(sizeof *p);
	*p = (wasmill__page){.op = op, .group = group, .state = state, .data = wasmill_scratch(WASMILL__PAGE_BYTES), .capacity = WASMILL__PAGE_BYTES};
	return p;
}

__attribute__((unused)) static wasmill_scan wasmill_scan_state(wasmill_context *c, uint32_t state) {
	wasmill__page *p = wasmill__new_page(WASMILL__STATE_SCAN, wasmill__whose(c, state), state);
	if (wasmill__is_list(c, state) || wasmill__is_map(c, state)) wasmill__turn(p, 0);
	return (wasmill_scan){.page = p};
}

__attribute__((unused)) static bool wasmill_next(wasmill_scan *scan) {
	wasmill__page *p = scan->page;
	while (p->at == p->answer.n) {
		if ((p->answer.flags & WASMILL__STATE_MORE) == 0) return false;
		wasmill__turn(p, p->answer.cursor);
	}
	scan->key = p->answer.keys.offsets == NULL ? (wasmill_bytes){NULL, 0} : wasmill__element(&p->answer.keys, p->at);
	scan->value = wasmill__element(&p->answer.values, p->at++);
	return true;
}

__attribute__((unused)) static void wasmill_set_timer(wasmill_context *c, wasmill_clock clock, int64_t time) {
	if (c->function->processor.timer == NULL && c->function->trigger.timer == NULL) wasmill_fail("a timer of a function that has no callback for timers: set .timer beside .process");
	wasmill__action(WASMILL__ACTION_SET_TIMER, clock, (uint64_t)time, (wasmill_bytes){0});
}

__attribute__((unused)) static void wasmill_delete_timer(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)c;
	wasmill__action(WASMILL__ACTION_DELETE_TIMER, clock, (uint64_t)time, (wasmill_bytes){0});
}

__attribute__((unused)) static void wasmill_apply_to_keys(wasmill_context *c, uint32_t state) {
	if (c->function->processor.apply == NULL) wasmill_fail("a broadcast record of a function that has no callback to apply it");
	wasmill__action(WASMILL__ACTION_APPLY, state, 0, (wasmill_bytes){0});
}

// wasmill__run_records runs a callback over a list of records. What did not come with the call is asked for.
static void wasmill__run_records(wasmill__node *n, wasmill_context *c, uint32_t tag, const wasmill__list *list, void (*f)(wasmill_context *, const wasmill_record *)) {
	static wasmill__buffer rest;
	wasmill__answer a;
	wasmill__list l = *list;
	for (uint32_t done = 0; done < list->total && !wasmill__failed; done += l.n) {
		if (done >= list->n) {
			wasmill__request(&wasmill__asked, c->group, tag, done, (wasmill_bytes){0}, (wasmill_bytes){0});
			wasmill__read_answer(&a, wasmill__ask(WASMILL__STATE_RECORDS, &rest));
			l = a.values;
			if (l.n == 0) wasmill_fail("a group of which elements are missing");
		}
		for (uint32_t i = 0; i < l.n && !wasmill__failed; i++) {
			wasmill__rewind(&wasmill__scratch_arena);
			wasmill_record r = {.key = c->key, .value = wasmill__element(&l, i), .timestamp = WASMILL_NO_TIMESTAMP};
			if (l.timestamps != NULL) r.timestamp = (int64_t)wasmill__load64(l.timestamps + 8 * i);
			n->out.in = &r;
			f(c, &r);
		}
	}
}

// What the records of a subtask amount to lies in the function, which one subtask has.
static void wasmill__begin_fold(wasmill_context *c) {
	const wasmill__function *f = c->function;
	wasmill__keep_value(f->all, f->aggregator.create == NULL ? (wasmill_bytes){NULL, 0} : f->aggregator.create());
}

static void wasmill__fold(wasmill_context *c, const wasmill_record *r) {
	const wasmill__function *f = c->function;
	wasmill_reduce_fn add = f->reduce != NULL ? f->reduce : f->aggregator.add;
	wasmill__keep_value(f->all, f->all->value.data == NULL ? r->value : add(f->all->value, r->value));
}

static void wasmill__end_fold(wasmill_context *c) {
	const wasmill__function *f = c->function;
	wasmill_bytes all = f->all->value;
	if (all.data == NULL) return;
	if (f->aggregator.result != NULL) all = f->aggregator.result(all);
	wasmill_emit(c->out, all.data, all.size);
}

// wasmill__fold_partition adds f, which has a reduce function or an aggregator, over all records of a subtask.
static wasmill_stream wasmill__fold_partition(wasmill_stream in, wasmill__function f) {
	f.all = wasmill__make(sizeof *f.all);
	f.processor = (wasmill_processor){.begin = wasmill__begin_fold, .process = wasmill__fold, .end = wasmill__end_fold, .codec = f.output};
	f.run_process = wasmill__run_process, f.end_process = wasmill__end_process;
	return wasmill__call(in, (wasmill__operator){.kind = WASMILL__MAP_PARTITION}, f);
}

__attribute__((unused)) static wasmill_stream wasmill_reduce_partition(wasmill_stream in, const char *name, wasmill_reduce_fn f) {
	return wasmill__fold_partition(in, (wasmill__function){.name = name, .reduce = f, .output = wasmill__codec(in)});
}

__attribute__((unused)) static wasmill_stream wasmill_aggregate_partition(wasmill_stream in, const char *name, wasmill_aggregator a) {
	return wasmill__fold_partition(in, (wasmill__function){.name = name, .aggregator = a, .output = a.result_codec});
}

static void wasmill__run_timer(wasmill__node *n, wasmill_context *c, const wasmill__group *g) {
	wasmill_record r = {.key = c->key, .value.data = (const uint8_t *)"", .timestamp = WASMILL_NO_TIMESTAMP};
	if (g->clock == WASMILL_EVENT_TIME) r.timestamp = g->timer;
	n->out.in = &r;
	c->function->processor.timer(c, g->clock, g->timer);
}

// wasmill__run_window runs a window function over what the window has, or what it was folded into.
static void wasmill__run_window(wasmill__node *n, wasmill_context *c, const wasmill__group *g) {
	const wasmill__function *f = n->function;
	wasmill_record r = {.key = c->key, .value.data = (const uint8_t *)"", .timestamp = g->windowed ? c->end - 1 : WASMILL_NO_TIMESTAMP};
	n->out.in = &r;
	if (f->accumulator != NULL) {
		f->processor.folded(c, f->aggregator.result(wasmill__element(&g->accumulators, 0)));
		return;
	}
	wasmill_co_group has = {.key = g->group.key, .start = g->group.start, .end = g->group.end, .group = g};
	f->processor.window(c, &has);
}

// wasmill__begin_context makes ready for a group: its key, its window, and the values that came with it.
static wasmill_context *wasmill__begin_context(wasmill__node *n, const wasmill__group *g) {
	wasmill_context *c = &wasmill__context;
	const wasmill__function *f = n->function;
	c->out = &n->out, c->key = g->group.key, c->group = wasmill__record, c->function = f, c->read = g;
	c->start = g->group.start, c->end = g->group.end;
	c->timing = (g->flags & WASMILL__GROUP_EARLY) != 0 ? WASMILL_EARLY : (g->flags & WASMILL__GROUP_LATE) != 0 ? WASMILL_LATE : WASMILL_ON_TIME;
	for (uint32_t i = 0; i < f->n_states; i++) wasmill__values[i].known = wasmill__values[i].changed = false;
	const uint8_t *list = g->lists;
	for (uint32_t left = g->n_lists; left > 0; left--, list += wasmill__load32(list)) {
		uint32_t state = wasmill__load16(list + 6);
		if (wasmill__load16(list + 4) != WASMILL__LIST_STATE || state >= f->n_states) continue;
		wasmill__list l = wasmill__read_list(list);
		if (l.total > l.n) continue; // it is asked for
		wasmill__values[state].known = true;
		wasmill__values[state].value = l.n > 0 && (g->flags & WASMILL__GROUP_MERGED) == 0 ? wasmill__element(&l, 0) : (wasmill_bytes){NULL, 0};
	}
	wasmill__begin_entry(c->group);
	return c;
}

// wasmill__end_context answers the values that have changed.
static void wasmill__end_context(const wasmill__function *f) {
	for (uint32_t i = 0; i < f->n_states; i++) {
		const wasmill__value *s = &wasmill__values[i];
		if (s->changed) wasmill__action(s->value.data == NULL ? WASMILL__ACTION_CLEAR : WASMILL__ACTION_PUT, i, s->value.size, s->value);
	}
	wasmill__end_entry();
}

// wasmill__run_process runs the callbacks for a group, and replies with the timers and values that they changed.
static void wasmill__run_process(wasmill__node *n, uint32_t verb, const wasmill__group *g) {
	wasmill_context *c = wasmill__begin_context(n, g);
	const wasmill__function *f = n->function;
	wasmill_record none = {.key = c->key, .value.data = (const uint8_t *)"", .timestamp = WASMILL_NO_TIMESTAMP};
	if (verb == WASMILL__BEGIN || verb == WASMILL__END) {
		void (*call)(wasmill_context *) = verb == WASMILL__BEGIN ? f->processor.begin : f->processor.end;
		n->out.in = &none;
		if (call != NULL) call(c);
	} else if (verb == WASMILL__TIMER) {
		wasmill__run_timer(n, c, g);
	} else if (verb == WASMILL__WINDOW_RESULT) {
		wasmill__run_window(n, c, g);
	} else if (verb == WASMILL__APPLY) {
		wasmill__run_records(n, c, WASMILL__LIST_OTHER, &g->other, f->processor.apply);
	} else {
		if (g->values.total > 0) wasmill__run_records(n, c, WASMILL__LIST_INPUT, &g->values, f->processor.process);
		if (g->other.total > 0) wasmill__run_records(n, c, WASMILL__LIST_OTHER, &g->other, f->processor.process_other);
	}
	wasmill__end_context(f);
}

// wasmill__merge_states makes one of what states had in windows that have become one, where they say how.
static void wasmill__merge_states(wasmill_context *c) {
	const uint8_t *list = c->read->lists;
	for (uint32_t left = c->read->n_lists; left > 0; left--, list += wasmill__load32(list)) {
		uint32_t state = wasmill__load16(list + 6);
		if (wasmill__load16(list + 4) != WASMILL__LIST_STATE || state >= c->function->n_states) continue;
		const wasmill_state *s = &c->function->processor.states[state];
		wasmill_reduce_fn merge = s->reduce != NULL || s->aggregator == NULL ? s->reduce : s->aggregator->merge;
		wasmill__list l = wasmill__read_list(list);
		for (uint32_t i = 0; i < l.n && merge != NULL; i++) {
			wasmill_bytes before = wasmill_get(c, state), one = wasmill__element(&l, i);
			wasmill_put(c, state, before.data == NULL ? one : merge(before, one));
		}
	}
}

// wasmill__run_trigger has a trigger answer for a group.
static void wasmill__run_trigger(wasmill__node *n, uint32_t verb, const wasmill__group *g) {
	static wasmill__buffer decisions;
	(void)verb;
	wasmill_context *c = wasmill__begin_context(n, g);
	const wasmill_trigger_function *t = &n->function->trigger;
	decisions.size = 0;
	if ((g->flags & WASMILL__GROUP_MERGED) != 0) {
		wasmill__merge_states(c);
		if (t->merged != NULL) t->merged(c);
	} else if ((g->flags & WASMILL__GROUP_HAS_TIMER) != 0) {
		uint8_t d = (uint8_t)t->timer(c, g->clock, g->timer);
		wasmill__append(&decisions, &d, 1);
	}
	for (uint32_t i = 0; i < g->values.n && !wasmill__failed; i++) {
		wasmill__rewind(&wasmill__scratch_arena);
		wasmill_record r = wasmill__record_of(g, &g->values, i);
		uint8_t d = (uint8_t)t->record(c, &r);
		wasmill__append(&decisions, &d, 1);
	}
	if (decisions.size > 0) wasmill__action(WASMILL__ACTION_TRIGGER, 0, decisions.size, (wasmill_bytes){decisions.data, decisions.size});
	wasmill__end_context(n->function);
}

__attribute__((unused)) static uint32_t wasmill_merged(const wasmill_context *c, uint32_t state, wasmill_bytes *values, uint32_t room) {
	const uint8_t *list = c->read->lists;
	for (uint32_t left = c->read->n_lists; left > 0; left--, list += wasmill__load32(list)) {
		if (wasmill__load16(list + 4) != WASMILL__LIST_STATE || wasmill__load16(list + 6) != state) continue;
		wasmill__list l = wasmill__read_list(list);
		for (uint32_t i = 0; i < l.n && i < room; i++) values[i] = wasmill__element(&l, i);
		return l.n;
	}
	return 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Co-groups

__attribute__((unused)) static wasmill_records wasmill_records_of(const wasmill_co_group *g, uint32_t input) {
	return (wasmill_records){.of = g, .input = input};
}

__attribute__((unused)) static bool wasmill_next_record(wasmill_records *r) {
	const wasmill__group *g = r->of->group;
	const wasmill__list *l = r->input == 0 ? &g->values : &g->other;
	if (r->done == l->total || wasmill__failed) return false;
	if (r->done >= l->n) { // it did not come with the call
		uint32_t tag = r->input == 0 ? WASMILL__LIST_INPUT : WASMILL__LIST_OTHER;
		if (r->page == NULL) {
			r->page = wasmill__new_page(WASMILL__STATE_RECORDS, wasmill__record, tag);
			wasmill__turn(r->page, r->done);
			r->at = 0;
		} else if (r->at == r->page->answer.n) {
			wasmill__turn(r->page, r->done);
			r->at = 0;
		}
		l = &r->page->answer.values;
		if (l->n == 0) {
			wasmill_fail("a group of which elements are missing");
			return false;
		}
	}
	r->record = wasmill__record_of(g, l, r->at++);
	r->done++;
	return true;
}

static void wasmill__run_co_group(wasmill__node *n, uint32_t verb, const wasmill__group *g) {
	(void)verb;
	wasmill_co_group both = {.key = g->group.key, .start = g->group.start, .end = g->group.end, .group = g};
	wasmill_record window = {.key = g->group.key, .value.data = (const uint8_t *)"", .timestamp = g->group.end - 1};
	n->out.in = &window;
	n->function->co_group(&both, &n->out);
}

// wasmill__sort sorts n values, by merging runs that become twice as long each time. room is as large.
static wasmill_bytes *wasmill__sort(wasmill_bytes *values, wasmill_bytes *room, uint32_t n, wasmill_compare_fn compare) {
	for (uint32_t run = 1; run < n; run *= 2) {
		for (uint32_t lo = 0; lo < n; lo += 2 * run) {
			uint32_t mid = n - lo < run ? n : lo + run, hi = n - lo < 2 * run ? n : lo + 2 * run;
			for (uint32_t at = lo, a = lo, b = mid; at < hi; at++) {
				room[at] = a < mid && (b == hi || compare(values[a], values[b]) <= 0) ? values[a++] : values[b++];
			}
		}
		wasmill_bytes *sorted = room;
		room = values, values = sorted;
	}
	return values;
}

static void wasmill__put_sorted(wasmill_context *c, const wasmill_co_group *has) {
	uint32_t n = 0, total = c->read->values.total;
	wasmill_bytes *values = wasmill_scratch(total * sizeof *values), *room = wasmill_scratch(total * sizeof *room);
	for (wasmill_records r = wasmill_records_of(has, 0); n < total && wasmill_next_record(&r); n++) {
		uint8_t *copy = wasmill_scratch(r.record.value.size);
		wasmill__copy(copy, r.record.value.data, r.record.value.size);
		values[n] = (wasmill_bytes){copy, r.record.value.size};
	}
	if (wasmill__failed) return;
	values = wasmill__sort(values, room, n, c->function->compare);
	for (uint32_t i = 0; i < n && !wasmill__failed; i++) wasmill_emit(c->out, values[i].data, values[i].size);
}

__attribute__((unused)) static wasmill_stream wasmill_sort_window(wasmill_keyed in, const char *name, wasmill_compare_fn compare) {
	return wasmill__window_function(in, (wasmill__function){.name = name, .compare = compare,
		.processor = {.window = wasmill__put_sorted, .codec = in.op->output}});
}

// ---------------------------------------------------------------------------------------------------------------------
// Migration of state

// wasmill__strings is a column of any number of byte strings.
typedef struct wasmill__strings {
	wasmill__buffer offsets, bytes;
} wasmill__strings;

static void wasmill__add_string(wasmill__strings *s, wasmill_bytes b) {
	wasmill__append(&s->bytes, b.data, b.size);
	wasmill__append(&s->offsets, &s->bytes.size, 4);
}

// wasmill__migrate takes a batch of elements and replies with a batch of what they are in the version declared.
WASMILL__SMALL uint32_t wasmill__migrate(uint32_t state, uint32_t from, const uint8_t *p, uint32_t size) {
	static wasmill__strings keys, values;
	static wasmill__buffer nulls;
	const wasmill__function *f = wasmill__function_of(state >> 16);
	wasmill__input in;
	if (f == NULL || (state & 0xffff) >= f->n_states) return WASMILL__UNKNOWN_FUNCTION;
	const wasmill_state *s = &f->processor.states[state & 0xffff];
	if (!wasmill__read(&in, p, size)) return WASMILL__BAD_INPUT;
	wasmill__failed = false;
	wasmill__record = WASMILL__NONE;
	if (s->migrate == NULL) wasmill_fail("a state of an older version, and no function that migrates it");
	keys.bytes.size = keys.offsets.size = values.bytes.size = values.offsets.size = 0;
	wasmill__append(&keys.offsets, &keys.bytes.size, 4);
	wasmill__append(&values.offsets, &values.bytes.size, 4);
	nulls.size = 0;
	wasmill__zero(wasmill__room(&nulls, (in.n + 7) / 8), (in.n + 7) / 8);
	nulls.size = (in.n + 7) / 8;
	bool dropped = false;
	for (uint32_t i = 0; i < in.n && !wasmill__failed; i++) {
		wasmill__record = i;
		wasmill__rewind(&wasmill__scratch_arena);
		wasmill_bytes key = {0}, value = {0};
		if (in.key_offsets != NULL) key = wasmill__string_at(in.key_offsets, in.keys, in.key_nulls, i);
		if (in.value_offsets != NULL) value = wasmill__string_at(in.value_offsets, in.values, in.value_nulls, i);
		value = s->migrate(from, key, value);
		if (value.data == NULL) nulls.data[i / 8] |= (uint8_t)(1u << (i % 8)), dropped = true;
		wasmill__add_string(&keys, key);
		wasmill__add_string(&values, value);
	}
	if (wasmill__failed) return WASMILL__FAILED;
	bool keyed = s->kind == WASMILL_MAP_STATE || s->kind == WASMILL_BROADCAST_STATE;
	uint8_t header[WASMILL__BATCH_HEADER] = {1};
	wasmill__store32(header + 4, WASMILL__VALUES | (keyed ? WASMILL__KEYS : 0) | (dropped ? WASMILL__VALUE_NULLS : 0));
	wasmill__store32(header + 8, in.n);
	wasmill__store32(header + 16, keyed ? keys.bytes.size : 0);
	wasmill__store32(header + 20, values.bytes.size);
	wasmill__encoded.size = 0;
	wasmill__section(header, sizeof header);
	if (keyed) wasmill__section(keys.offsets.data, keys.offsets.size);
	wasmill__section(values.offsets.data, values.offsets.size);
	if (dropped) wasmill__section(nulls.data, nulls.size);
	if (keyed) wasmill__section(keys.bytes.data, keys.bytes.size);
	wasmill__section(values.bytes.data, values.bytes.size);
	wasmill__store32(wasmill__encoded.data + 12, wasmill__encoded.size);
	wasmill_host_reply(wasmill__encoded.data, wasmill__encoded.size);
	return WASMILL__OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// What the host calls

static wasmill__buffer wasmill__given_buffer; // the host writes what it calls with here

WASMILL__SMALL uint8_t *wasmill__input_buffer(uint32_t size) {
	wasmill__given_buffer.size = 0; // the host is not in the middle of anything that it needs of the old one
	return wasmill__room(&wasmill__given_buffer, size);
}

static wasmill__json wasmill__described;

// wasmill__describe runs the definition with the parameters at p. False: it was refused, and the host knows why.
static bool wasmill__describe(const uint8_t *p, uint32_t size) {
	while (wasmill__handles != NULL) wasmill__close(wasmill__handles->number); // their functions are defined anew
	wasmill__rewind(&wasmill__job_arena);
	wasmill__failed = false;
	wasmill__record = WASMILL__NONE;
	uint8_t *given = wasmill__make(size);
	wasmill__copy(given, p, size);
	wasmill_job *job = &wasmill__job;
	*job = (wasmill_job){.given = given, .given_size = size};
	job->last_param = &job->params;
	job->last_function = &job->functions;
	job->last_operator = &job->operators;
	wasmill__define(job);
	wasmill__finish(job);
	if (job->problems != NULL) wasmill_fail(job->problems);
	if (wasmill__failed) return false;
	wasmill__described.out.size = 0;
	wasmill__json_manifest(&wasmill__described, job);
	return true;
}

#ifdef __wasm__
WASMILL__EXPORT("wasmill_abi_1") void wasmill_abi_1(void) {}

WASMILL__EXPORT("wasmill_buffer") uint8_t *wasmill_buffer(uint32_t size) { return wasmill__input_buffer(size); }

WASMILL__EXPORT("wasmill_describe") uint64_t wasmill_describe(const uint8_t *p, uint32_t size) {
	if (!wasmill__describe(p, size)) return 0;
	return (uint64_t)(uintptr_t)wasmill__described.out.data << 32 | wasmill__described.out.size;
}

WASMILL__EXPORT("wasmill_open") uint32_t wasmill_open(uint32_t handle, const uint8_t *p, uint32_t size) {
	return wasmill__open(handle, p, size);
}

WASMILL__EXPORT("wasmill_process") uint32_t wasmill_process_call(uint32_t handle, const uint8_t *p, uint32_t size) {
	return wasmill__process(handle, p, size);
}

WASMILL__EXPORT("wasmill_keyed") uint32_t wasmill_keyed_call(uint32_t handle, uint32_t verb, const uint8_t *p, uint32_t size) {
	return wasmill__keyed_call(handle, verb, p, size);
}

WASMILL__EXPORT("wasmill_migrate") uint32_t wasmill_migrate(uint32_t state, uint32_t from, const uint8_t *p, uint32_t size) {
	return wasmill__migrate(state, from, p, size);
}

WASMILL__EXPORT("wasmill_close") uint32_t wasmill_close(uint32_t handle) { return wasmill__close(handle); }
#endif

#endif // WASMILL_H
