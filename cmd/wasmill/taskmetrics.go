package main

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/transport/control"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// taskMetricsHandler serves what the tasks of a TaskManager do, and the figures of its process, for Prometheus.
func taskMetricsHandler(tm *taskmanager.TaskManager, network *exchange.Network, calls *control.Handler, slots int) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(gcPauses)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&taskCollector{tm, slots}, &channelCollector{network}, &staleCollector{calls})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	return mux
}

// gcPauses is how long the garbage collector has stopped the process, guests included: what metering is there to bound.
var gcPauses = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/sched/pauses/total/gc:seconds$`)}

// taskCollector asks the TaskManager at every scrape; figures of a task are those of its attempt.
type taskCollector struct {
	tm    *taskmanager.TaskManager
	slots int
}

var taskLabels = []string{"job", "attempt", "operators", "chain", "subtask"}

// taskFigure is one row of the figures of a task.
type taskFigure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*taskmanager.Figures) float64
}

func figure(name, help string, kind prometheus.ValueType, value func(*taskmanager.Figures) float64) taskFigure {
	return taskFigure{prometheus.NewDesc("wasmill_task_"+name, help, taskLabels, nil), kind, value}
}

const nsPerSecond = 1e9

var taskFigures = []taskFigure{
	figure("records_in_total", "Records that a subtask has taken, from channels or its source.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.RecordsIn) }),
	figure("records_out_total", "Records that a subtask has sent.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.RecordsOut) }),
	figure("bytes_in_total", "Bytes of batches that a subtask has taken.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.BytesIn) }),
	figure("bytes_out_total", "Bytes of batches that a subtask has sent.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.BytesOut) }),
	figure("late_total", "Records whose window had fired.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.Late) }),
	figure("skipped_total", "Records, timers and results of groups that a guest trapped on, and input that is no record, that were left out.", prometheus.CounterValue,
		func(f *taskmanager.Figures) (n float64) {
			for _, of := range f.Skipped {
				n += float64(of)
			}
			return n
		}),
	figure("input_read_bytes_total", "Bytes of input that a source has consumed.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.InputRead) }),
	figure("busy_seconds_total", "Time in which a subtask worked.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.BusyNs) / nsPerSecond }),
	figure("blocked_seconds_total", "Time in which a subtask waited for a receiver to take its output.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.BlockedNs) / nsPerSecond }),
	figure("idle_inputs", "Splits or channels of a subtask that have nothing for now, and hold its watermark back no longer.", prometheus.GaugeValue,
		func(f *taskmanager.Figures) float64 { return float64(len(f.Idle)) }),
	figure("paused_splits", "Splits of a subtask that wait for slower sources of their group.", prometheus.GaugeValue,
		func(f *taskmanager.Figures) float64 { return float64(len(f.Paused)) }),
	figure("requests_in_flight", "Records of a subtask that wait for the answer to a request.", prometheus.GaugeValue,
		requestFigure(func(r *wire.Requests) int64 { return r.InFlight })),
	figure("requests_total", "Requests that a subtask has made.", prometheus.CounterValue,
		requestFigure(func(r *wire.Requests) int64 { return r.Made })),
	figure("request_retries_total", "Requests that a subtask has made again.", prometheus.CounterValue,
		requestFigure(func(r *wire.Requests) int64 { return r.Retries })),
	figure("request_timeouts_total", "Records of a subtask whose requests had no answer in time.", prometheus.CounterValue,
		requestFigure(func(r *wire.Requests) int64 { return r.Timeouts })),
	figure("fuel_total", "Fuel that the guests of a subtask have used: about one an instruction.", prometheus.CounterValue,
		func(f *taskmanager.Figures) float64 { return float64(f.Fuel) }),
}

// requestFigure sums a figure over the request operators of a task.
func requestFigure(value func(*wire.Requests) int64) func(*taskmanager.Figures) float64 {
	return func(f *taskmanager.Figures) (n float64) {
		for i := range f.Requests {
			n += float64(value(&f.Requests[i]))
		}
		return n
	}
}

var (
	descWatermark = prometheus.NewDesc("wasmill_task_watermark_ms", "Watermark of a subtask, in milliseconds of event time; absent before there is one and after the last.", taskLabels, nil)
	descSlots     = prometheus.NewDesc("wasmill_slots", "Slots of this TaskManager.", nil, nil)
	descTasks     = prometheus.NewDesc("wasmill_tasks", "Subtasks that run here.", nil, nil)
)

// Describe sends nothing: which tasks there are is only known at the scrape.
func (c *taskCollector) Describe(chan<- *prometheus.Desc) {}

func (c *taskCollector) Collect(out chan<- prometheus.Metric) {
	all := c.tm.Figures()
	out <- prometheus.MustNewConstMetric(descSlots, prometheus.GaugeValue, float64(c.slots))
	out <- prometheus.MustNewConstMetric(descTasks, prometheus.GaugeValue, float64(len(all)))
	for i := range all {
		f := &all[i]
		labels := []string{string(f.Job), strconv.Itoa(int(f.Attempt)), f.Operators, strconv.Itoa(f.Task.Chain), strconv.Itoa(f.Task.Subtask)}
		for _, row := range taskFigures {
			out <- prometheus.MustNewConstMetric(row.desc, row.kind, row.value(f), labels...)
		}
		if f.Watermark != abi.MinTime && f.Watermark != abi.MaxTime {
			out <- prometheus.MustNewConstMetric(descWatermark, prometheus.GaugeValue, float64(f.Watermark), labels...)
		}
	}
}

// channelCollector serves what the channels to and from other TaskManagers carry.
type channelCollector struct{ network *exchange.Network }

// channelFigure is one row of the figures of the channels.
type channelFigure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*exchange.Stats) float64
}

var channelFigures = []channelFigure{
	{newChannelDesc("sent_batches_total", "Batches sent to other TaskManagers."), prometheus.CounterValue,
		func(s *exchange.Stats) float64 { return float64(s.BatchesOut) }},
	{newChannelDesc("sent_bytes_total", "Bytes sent to other TaskManagers."), prometheus.CounterValue,
		func(s *exchange.Stats) float64 { return float64(s.BytesOut) }},
	{newChannelDesc("received_batches_total", "Batches received from other TaskManagers."), prometheus.CounterValue,
		func(s *exchange.Stats) float64 { return float64(s.BatchesIn) }},
	{newChannelDesc("received_bytes_total", "Bytes received from other TaskManagers."), prometheus.CounterValue,
		func(s *exchange.Stats) float64 { return float64(s.BytesIn) }},
	{newChannelDesc("stale_total", "Channels refused because their attempt was over."), prometheus.CounterValue,
		func(s *exchange.Stats) float64 { return float64(s.Stale) }},
	{newChannelDesc("incoming", "Channels from other TaskManagers that are being read."), prometheus.GaugeValue,
		func(s *exchange.Stats) float64 { return float64(s.Channels) }},
	{newChannelDesc("parked", "Channels from other TaskManagers that wait for their task to appear."), prometheus.GaugeValue,
		func(s *exchange.Stats) float64 { return float64(s.Parked) }},
	{newChannelDesc("connections", "Data connections that this TaskManager has opened."), prometheus.GaugeValue,
		func(s *exchange.Stats) float64 { return float64(s.Connections) }},
}

func newChannelDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("wasmill_channels_"+name, help, nil, nil)
}

func (c *channelCollector) Describe(out chan<- *prometheus.Desc) {
	for _, row := range channelFigures {
		out <- row.desc
	}
}

func (c *channelCollector) Collect(out chan<- prometheus.Metric) {
	s := c.network.Stats()
	for _, row := range channelFigures {
		out <- prometheus.MustNewConstMetric(row.desc, row.kind, row.value(&s))
	}
}

// staleCollector serves how many control requests came too late to a process: what one that was cut off or paused has still
// to say.
type staleCollector struct{ calls *control.Handler }

var descStale = prometheus.NewDesc("wasmill_control_stale_total", "Control requests refused because their epoch, attempt or registration was over.", []string{"request"}, nil)

func (c *staleCollector) Describe(out chan<- *prometheus.Desc) { out <- descStale }

func (c *staleCollector) Collect(out chan<- prometheus.Metric) {
	for request, n := range c.calls.Stale() {
		out <- prometheus.MustNewConstMetric(descStale, prometheus.CounterValue, float64(n), request)
	}
}
