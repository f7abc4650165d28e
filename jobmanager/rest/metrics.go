package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wasmill/wasmill/internal/api"
)

// metricsHandler serves the JobManager's figures, those of its process, and what the configuration adds.
func metricsHandler(c Config) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&clusterMetrics{jm: c.JobManager})
	r.MustRegister(c.Collectors...)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// collectLimit bounds the time that one scrape may take of the JobManager.
const collectLimit = 2 * time.Second

// clusterMetrics asks the JobManager at every scrape, so nothing is counted twice. What subtasks do is served by the
// TaskManagers that run them; what is here sums it per job.
type clusterMetrics struct{ jm JobManager }

var (
	descEpoch        = prometheus.NewDesc("wasmill_epoch", "Epoch of the JobManager; it grows at every start.", nil, nil)
	descTaskManagers = prometheus.NewDesc("wasmill_taskmanagers", "Registered TaskManagers.", nil, nil)
	descSlots        = prometheus.NewDesc("wasmill_slots", "Slots of all registered TaskManagers.", nil, nil)
	descFreeSlots    = prometheus.NewDesc("wasmill_slots_free", "Slots that no job holds.", nil, nil)
	descJobs         = prometheus.NewDesc("wasmill_jobs", "Jobs by state.", []string{"state"}, nil)

	descTaskManagerRSS   = prometheus.NewDesc("wasmill_taskmanager_resident_bytes", "Resident memory of a TaskManager's process.", []string{"taskmanager", "name"}, nil)
	descTaskManagerSlots = prometheus.NewDesc("wasmill_taskmanager_slots", "Slots of a TaskManager.", []string{"taskmanager", "name"}, nil)

	jobLabels      = []string{"job", "name"}
	descRestarts   = prometheus.NewDesc("wasmill_job_restarts_total", "Restarts of a job.", jobLabels, nil)
	descAttempt    = prometheus.NewDesc("wasmill_job_attempt", "Attempt that a job is in.", jobLabels, nil)
	descSourceOut  = prometheus.NewDesc("wasmill_job_source_records", "Records that the sources of a job have read since it began; what restarts have undone is not among them.", jobLabels, nil)
	descRecordsOut = prometheus.NewDesc("wasmill_job_sent_records", "Records that all subtasks of a job have sent since it began; what restarts have undone is not among them.", jobLabels, nil)
	descSinkIn     = prometheus.NewDesc("wasmill_job_sink_records", "Records that the sinks of a job have taken since it began; what restarts have undone is not among them.", jobLabels, nil)
	descInputRead  = prometheus.NewDesc("wasmill_job_input_read_bytes", "Bytes of input that a job has consumed since it began; what restarts have undone is not among them.", jobLabels, nil)
	descSubtasks   = prometheus.NewDesc("wasmill_job_subtasks", "Subtasks of a job by state.", append(jobLabels, "state"), nil)
)

// Describe sends nothing: which jobs there are is only known at the scrape.
func (m *clusterMetrics) Describe(chan<- *prometheus.Desc) {}

func (m *clusterMetrics) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
	defer cancel()
	if o, err := m.jm.ClusterOverview(ctx); err == nil {
		collectOverview(out, o)
	}
	if all, err := m.jm.ListTaskManagers(ctx); err == nil {
		for i := range all {
			gauge(out, descTaskManagerRSS, float64(all[i].RSS), string(all[i].ID), all[i].Name)
			gauge(out, descTaskManagerSlots, float64(all[i].Slots), string(all[i].ID), all[i].Name)
		}
	}
	if all, err := m.jm.ListJobs(ctx); err == nil {
		for i := range all {
			collectJob(out, &all[i])
		}
	}
}

func collectOverview(out chan<- prometheus.Metric, o *api.Overview) {
	gauge(out, descEpoch, float64(o.Epoch))
	gauge(out, descTaskManagers, float64(o.TaskManagers))
	gauge(out, descSlots, float64(o.Slots))
	gauge(out, descFreeSlots, float64(o.FreeSlots))
	for state, n := range o.Jobs {
		gauge(out, descJobs, float64(n), string(state))
	}
}

func collectJob(out chan<- prometheus.Metric, j *api.Job) {
	id := string(j.ID)
	out <- prometheus.MustNewConstMetric(descRestarts, prometheus.CounterValue, float64(j.Restarts), id, j.Name)
	if j.State.Terminal() {
		return
	}
	gauge(out, descAttempt, float64(j.Attempt), id, j.Name)
	gauge(out, descSourceOut, float64(j.Progress.SourceOut), id, j.Name)
	gauge(out, descRecordsOut, float64(j.Progress.RecordsOut), id, j.Name)
	gauge(out, descSinkIn, float64(j.Progress.SinkIn), id, j.Name)
	gauge(out, descInputRead, float64(j.Progress.InputRead), id, j.Name)
	gauge(out, descSubtasks, float64(j.Subtasks.Running), id, j.Name, "running")
	gauge(out, descSubtasks, float64(j.Subtasks.Finished), id, j.Name, "finished")
	gauge(out, descSubtasks, float64(j.Subtasks.Total-j.Subtasks.Running-j.Subtasks.Finished), id, j.Name, "waiting")
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}
