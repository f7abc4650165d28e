package config

import "time"

// Option is one row of the table: a key, its default and bounds as a user would write them, and a sentence.
type Option struct {
	Key     string
	Default string
	Min     string   // lowest value, if bounded
	Max     string   // highest value, if bounded
	OneOf   []string // the only values, if they are words
	Doc     string

	field func(*Config) any // where the value goes; the type of the pointer is the type of the option
}

// Options is every option there is, in the order of the reference.
var Options = []Option{
	{Key: "jobmanager.url", field: func(c *Config) any { return &c.JobManager.URL },
		Doc: "URL of the JobManager that commands talk to. Empty: `run` runs the job in its own process, and other commands use http://127.0.0.1:7070."},
	{Key: "jobmanager.address", Default: "127.0.0.1:7070", field: func(c *Config) any { return &c.JobManager.Address },
		Doc: "Where the JobManager serves REST (TCP). Only loopback addresses are allowed, because REST asks for no credentials."},
	{Key: "jobmanager.control", Default: "127.0.0.1:7070", field: func(c *Config) any { return &c.JobManager.Control },
		Doc: "Where the JobManager listens for TaskManagers (UDP)."},
	{Key: "jobmanager.liveness", Default: "127.0.0.1:0", field: func(c *Config) any { return &c.JobManager.Liveness },
		Doc: "Where the JobManager keeps one idle connection with each TaskManager (TCP), whose end says that the process has died. Port 0 takes a free one."},
	{Key: "jobmanager.dir", Default: "/var/lib/wasmill/jobmanager", field: func(c *Config) any { return &c.JobManager.Dir },
		Doc: "Directory of the JobManager's metadata and of uploaded modules."},
	{Key: "taskmanager.jobmanager", Default: "127.0.0.1:7070", field: func(c *Config) any { return &c.TaskManager.JobManager },
		Doc: "The JobManager that a TaskManager registers with: the host and port of its `jobmanager.control`."},
	{Key: "taskmanager.name", field: func(c *Config) any { return &c.TaskManager.Name },
		Doc: "Name of the TaskManager, for people. Empty: the name of its host."},
	{Key: "taskmanager.address", Default: "127.0.0.1:0", field: func(c *Config) any { return &c.TaskManager.Address },
		Doc: "Where the TaskManager listens for the JobManager and other TaskManagers (UDP); they must be able to reach it. Port 0 takes a free one."},
	{Key: "taskmanager.advertise", field: func(c *Config) any { return &c.TaskManager.Advertise },
		Doc: "Where the JobManager and other TaskManagers reach the TaskManager (UDP), if something stands in between that passes on to `taskmanager.address`. Empty: there."},
	{Key: "taskmanager.metrics", Default: "127.0.0.1:0", field: func(c *Config) any { return &c.TaskManager.Metrics },
		Doc: "Where the TaskManager serves /metrics for Prometheus (TCP). Only loopback addresses are allowed; port 0 takes a free one, which the log names."},
	{Key: "taskmanager.slots", Default: "2", Min: "1", Max: "1024", field: func(c *Config) any { return &c.TaskManager.Slots },
		Doc: "Slots of the TaskManager: how many subtasks of one operator it can run."},
	{Key: "tls.dir", Default: "/etc/wasmill/certs", field: func(c *Config) any { return &c.TLS.Dir },
		Doc: "Directory with the certificates that `wasmill cluster init` made: what JobManager and TaskManagers know each other by."},
	{Key: "upload.limit", Default: "64MiB", Min: "1KiB", Max: "1GiB", field: func(c *Config) any { return &c.Upload.Limit },
		Doc: "Size of the largest module that is taken."},
	{Key: "job.mode", Default: "streaming", OneOf: []string{"streaming", "batch", "automatic"}, field: func(c *Config) any { return &c.Job.Mode },
		Doc: "Mode of jobs that ask for none. `batch` takes only jobs whose sources end and runs them stage by stage; `automatic` is batch for those, and streaming for others."},
	{Key: "slots.timeout", Default: "30s", Min: "0s", field: func(c *Config) any { return &c.Slots.Timeout },
		Doc: "How long a job waits for enough slots before it fails."},
	{Key: "heartbeat.interval", Default: "1s", Min: "10ms", field: func(c *Config) any { return &c.Heartbeat.Interval },
		Doc: "How often a TaskManager tells the JobManager that it is there."},
	{Key: "heartbeat.timeout", Default: "3s", Min: "100ms", field: func(c *Config) any { return &c.Heartbeat.Timeout },
		Doc: "After how long without a heartbeat a TaskManager counts as lost."},
	{Key: "restart.delay", Default: "1s", Min: "1ms", field: func(c *Config) any { return &c.Restart.Delay },
		Doc: "Wait before the second restart of a job; the first has none. It doubles with every further one."},
	{Key: "restart.max-delay", Default: "1m", Min: "1ms", field: func(c *Config) any { return &c.Restart.MaxDelay },
		Doc: "Longest wait before a restart."},
	{Key: "restart.per-hour", Default: "20", Min: "1", field: func(c *Config) any { return &c.Restart.PerHour },
		Doc: "Restarts within an hour after which a job fails for good."},
	{Key: "checkpoint.dir", Default: "/var/lib/wasmill/checkpoints", field: func(c *Config) any { return &c.Checkpoint.Dir },
		Doc: "Where checkpoints are kept: a directory that the JobManager and every TaskManager see, or `s3://BUCKET/PREFIX?region=NAME&endpoint=URL`, where `region` may come from AWS_REGION and `endpoint` is for other servers than Amazon's. Credentials are taken from the environment of each process, AWS's configuration files or the machine's role, never from here."},
	{Key: "checkpoint.interval", Default: "10s", Min: "0s", field: func(c *Config) any { return &c.Checkpoint.Interval },
		Doc: "How often a checkpoint of a job begins. 0s: only when one is asked for, once a rescaling or an upgrade is made, and when the job ends."},
	{Key: "checkpoint.timeout", Default: "10m", Min: "1s", field: func(c *Config) any { return &c.Checkpoint.Timeout },
		Doc: "How long a checkpoint may take before it is given up."},
	{Key: "checkpoint.min-pause", Default: "0s", Min: "0s", field: func(c *Config) any { return &c.Checkpoint.MinPause },
		Doc: "Least time between the end of a checkpoint and the beginning of the next."},
	{Key: "checkpoint.tolerated-failures", Default: "3", Min: "0", field: func(c *Config) any { return &c.Checkpoint.ToleratedFailures },
		Doc: "Checkpoints in a row that may be given up; one more restarts the job."},
	{Key: "checkpoint.retained", Default: "3", Min: "1", Max: "1000", field: func(c *Config) any { return &c.Checkpoint.Retained },
		Doc: "Completed checkpoints of a job that are kept; older ones are deleted."},
	{Key: "checkpoint.unaligned", Default: "false", OneOf: []string{"false", "true"}, field: func(c *Config) any { return &c.Checkpoint.Unaligned },
		Doc: "Whether every checkpoint overtakes the records in its way, which it then stores, rather than wait behind them."},
	{Key: "checkpoint.alignment-timeout", Default: "10s", Min: "0s", field: func(c *Config) any { return &c.Checkpoint.AlignmentTimeout },
		Doc: "How long a checkpoint waits behind records before it overtakes them, at most half of `checkpoint.timeout`. 0s: it always waits."},
	{Key: "savepoint.dir", field: func(c *Config) any { return &c.Savepoint.Dir },
		Doc: "Where savepoints are made when none is said, in a directory of their own each: a directory or S3, as `checkpoint.dir`. Empty: a place must be said."},
	{Key: "state.dir", Default: "/var/lib/wasmill/state", field: func(c *Config) any { return &c.State.Dir },
		Doc: "The TaskManager's local directory for state that does not fit into memory, and for files of checkpoints on their way; a fast disk. It may be lost at any time."},
	{Key: "state.budget", Default: "256MiB", Min: "1MiB", Max: "1TiB", field: func(c *Config) any { return &c.State.Budget },
		Doc: "Memory that the state in one slot may have; the rest is on disk."},
	{Key: "state.quota", Default: "0", Min: "0", field: func(c *Config) any { return &c.State.Quota },
		Doc: "Bytes of `state.dir` that one job may have on a TaskManager. 0: no limit."},
	{Key: "state.reserve", Default: "512MiB", Min: "0", field: func(c *Config) any { return &c.State.Reserve },
		Doc: "Bytes that are left free on the disk of `state.dir`: a job that would need them fails, and no other."},
	{Key: "guest.memory", Default: "256MiB", Min: "1MiB", Max: "4GiB", field: func(c *Config) any { return &c.Guest.Memory },
		Doc: "Linear memory that one guest instance may have."},
	{Key: "guest.stack", Default: "8MiB", Min: "64KiB", Max: "64MiB", field: func(c *Config) any { return &c.Guest.Stack },
		Doc: "Call stack that one guest instance may use."},
	{Key: "guest.call-limit", Default: "10s", Min: "1ms", field: func(c *Config) any { return &c.Guest.CallLimit },
		Doc: "How long one call into a guest, with a batch of records, may take."},
	{Key: "channel.queue", Default: "256KiB", Min: "64KiB", Max: "64MiB", field: func(c *Config) any { return &c.Channel.Queue },
		Doc: "Bytes that may wait in one channel before its sender takes no new input. Before a link that is slow it is less: what goes over it in 200 ms."},
	{Key: "pipeline.max-delay", Default: "10ms", Min: "1ms", Max: "1m", field: func(c *Config) any { return &c.Pipeline.MaxDelay },
		Doc: "How long a record may wait in a batch that is not full, under load; an idle subtask sends at once."},
	{Key: "capabilities.http.allow", field: func(c *Config) any { return &c.Capabilities.HTTP.Allow },
		Doc: "Hosts that jobs may ask over HTTP, if their operators name them: a list of HOST:PORT, where the port may be `*` and the host a name, `*.NAME`, `*`, an address, or a prefix of addresses as `10.0.0.0/8`. A name is followed to public addresses only; others, this machine's among them, are granted as addresses. Empty: none. The JobManager and every TaskManager must have the same."},
	{Key: "capabilities.http.connections", Default: "256", Min: "1", Max: "65536", field: func(c *Config) any { return &c.Capabilities.HTTP.Connections },
		Doc: "Requests that a TaskManager makes at once over HTTP; others wait, and their timeout runs."},
	{Key: "capabilities.http.response-limit", Default: "1MiB", Min: "1KiB", Max: "14MiB", field: func(c *Config) any { return &c.Capabilities.HTTP.ResponseLimit },
		Doc: "Size of the largest response that a job is given; one above it is refused."},
	{Key: "cache.dir", field: func(c *Config) any { return &c.Cache.Dir },
		Doc: "Directory of compiled modules; it holds native code, so only the user of the process may be able to write there. Empty: wasmill/compiled in the user's cache directory."},
	{Key: "log.level", Default: "info", OneOf: []string{"debug", "info", "warn", "error"}, field: func(c *Config) any { return &c.Log.Level },
		Doc: "The least level that JobManager and TaskManager log."},
	{Key: "log.format", Default: "auto", OneOf: []string{"auto", "text", "json"}, field: func(c *Config) any { return &c.Log.Format },
		Doc: "Form of log lines: `text` is key=value, `auto` is text on a terminal and json elsewhere."},
}

// Type names the option's type as the reference shows it.
func (o *Option) Type() string {
	switch o.field(new(Config)).(type) {
	case *int:
		return "number"
	case *Size:
		return "size"
	case *[]string:
		return "list"
	case *time.Duration:
		return "duration"
	case *bool:
		return "word"
	}
	if len(o.OneOf) > 0 {
		return "word"
	}
	return "text"
}

// Find returns the option with the given key, or nil.
func Find(key string) *Option {
	for i := range Options {
		if Options[i].Key == key {
			return &Options[i]
		}
	}
	return nil
}
