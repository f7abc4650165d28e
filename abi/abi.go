// Package abi is the contract between Wasmill and a guest module, version 1: the names a module exports and imports,
// the numbers that only grow, and the bytes that cross the border. It knows encodings and nothing else: no sandbox, no
// job semantics, no I/O. README.md in this folder is the specification; this package is its Go form, used by the host,
// and what every SDK is checked against.
package abi

// Version is the ABI version of this package. A module announces its version by the name of its marker export.
const Version = 1

// MarkerPrefix begins the name of the export that announces a module's ABI version: MarkerPrefix + "1".
const MarkerPrefix = "wasmill_abi_"

// ImportModule is the module name of every host function.
const ImportModule = "wasmill"

// ManifestSection is the name of the custom section that may carry the manifest.
const ManifestSection = "wasmill.manifest"

// Names of a module's exports. ExportClose and ExportMigrate are optional; ExportKeyed is needed only by modules that
// declare a keyed function.
const (
	ExportMemory   = "memory"
	ExportDescribe = "wasmill_describe" // (ptr, len i32) -> ptr<<32|len i64
	ExportBuffer   = "wasmill_buffer"   // (size i32) -> ptr i32
	ExportOpen     = "wasmill_open"     // (handle, ptr, len i32) -> status i32
	ExportProcess  = "wasmill_process"  // (handle, ptr, len i32) -> status i32
	ExportKeyed    = "wasmill_keyed"    // (handle, verb, ptr, len i32) -> status i32
	ExportClose    = "wasmill_close"    // (handle i32) -> status i32
	ExportMigrate  = "wasmill_migrate"  // (state, from version, ptr, len i32) -> status i32, answers by reply
)

// Names of the host functions in ImportModule.
const (
	ImportEmit      = "emit"      // (output, ptr, len i32)
	ImportReply     = "reply"     // (ptr, len i32)
	ImportWatermark = "watermark" // (milliseconds i64)
	ImportState     = "state"     // (op, ptr, len, out, cap i32) -> needed i32
	ImportLog       = "log"       // (level, ptr, len i32)
	ImportMetric    = "metric"    // (kind, name ptr, name len i32, value i64)
	ImportParam     = "param"     // (name ptr, name len, out, cap i32) -> needed i32, -1 when not given
	ImportFail      = "fail"      // (ptr, len i32)
)

// None is the u32 that stands for "no index" wherever an index is optional.
const None = ^uint32(0)

// MaxRecordBytes bounds one record, key and value together.
const MaxRecordBytes = 16 << 20

// Status is what a guest export answers. The list only grows.
type Status uint32

const (
	StatusOK              Status = 0 // effects of the call may be applied
	StatusFailed          Status = 1 // the guest called fail; the instance stays good
	StatusUnknownHandle   Status = 2
	StatusUnknownFunction Status = 3
	StatusUnknownVerb     Status = 4
	StatusBadInput        Status = 5 // the guest could not read the host's bytes
	StatusOutOfMemory     Status = 6
)

// Verb tells a keyed call what to do. The list only grows.
type Verb uint32

const (
	VerbProcess    Verb = 1
	VerbTimer      Verb = 2
	VerbCreate     Verb = 3
	VerbAccumulate Verb = 4
	VerbMerge      Verb = 5
	VerbResult     Verb = 6
	VerbJoin       Verb = 7
	VerbTrigger    Verb = 8
	VerbEvict      Verb = 9
	VerbGap        Verb = 10
	VerbPartition  Verb = 11
	VerbRequest    Verb = 12
	VerbBegin      Verb = 16 // a subtask begins or goes on: one group with an empty key
	VerbEnd        Verb = 17 // no more records come: one group with an empty key
	VerbApply      Verb = 18 // a broadcast record has asked for the keys of a state: a group each, with the record
	VerbResponse   Verb = 13
	VerbWindow     Verb = 14
)

// Feature is something that a module needs of its host. An unknown number is refused at upload.
type Feature uint32

const (
	FeatureBatch     Feature = 1 // wasmill_process over batches; every module needs it
	FeatureKeyed     Feature = 2 // wasmill_keyed with accumulate, merge and result
	FeatureState     Feature = 3 // declared state and the state import
	FeatureTimers    Feature = 4
	FeatureTwoInputs Feature = 5
	FeatureTriggers  Feature = 6 // custom triggers, evictors and session gaps
	FeatureRequests  Feature = 7 // requests to the outside and their responses
	FeatureRow       Feature = 8 // the row codec
	FeaturePartition Feature = 9 // partition functions

	FeatureAccumulators   Feature = 10 // accumulators that have a schema version
	FeatureFields         Feature = 11 // keys, predicates and aggregates over fields, without a function
	FeatureWindows        Feature = 12 // window functions, and windows with a trigger, an evictor, no end or a gap of each record
	FeatureMeeting        Feature = 14 // joins in windows, co-groups, and broadcast states
	FeatureOperatorStates Feature = 16 // states of the operator's own scope, process functions without a key
	FeatureTies           Feature = 18 // aggregates with further fields that decide among equal records
	FeatureEventTTL       Feature = 19 // states whose entries end by event time
	FeatureApply          Feature = 20 // broadcast records that are applied to all keys of a state
)

// LogLevel is the first argument of the log import.
type LogLevel uint32

const (
	LogDebug LogLevel = 1
	LogInfo  LogLevel = 2
	LogWarn  LogLevel = 3
	LogError LogLevel = 4
)

// MetricKind is the first argument of the metric import.
type MetricKind uint32

const (
	MetricCounter MetricKind = 1 // adds value
	MetricGauge   MetricKind = 2 // sets value
)

// Times in milliseconds since the Unix epoch. A watermark of MinTime says nothing yet, one of MaxTime that no more
// records will come. NoTimestamp marks a record without event time.
const (
	MinTime     int64 = -1 << 63
	MaxTime     int64 = 1<<63 - 1
	NoTimestamp       = MinTime
)

// pad8 rounds n up to a multiple of 8.
func pad8(n int) int { return (n + 7) &^ 7 }
