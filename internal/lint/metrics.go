package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// The metrics that rules name, by their newest names.
const (
	gpuPrefix       = "DCGM_"
	running         = "vllm:num_requests_running"
	waiting         = "vllm:num_requests_waiting"
	waitingByReason = "vllm:num_requests_waiting_by_reason"
	kvUsage         = "vllm:kv_cache_usage_perc"
)

// highest is the greatest value that a metric can have for one pod.
var highest = map[string]float64{
	kvUsage:                           1,
	"DCGM_FI_DEV_GPU_UTIL":            100,
	"DCGM_FI_DEV_MEM_COPY_UTIL":       100,
	"DCGM_FI_PROF_GR_ENGINE_ACTIVE":   1,
	"DCGM_FI_PROF_SM_ACTIVE":          1,
	"DCGM_FI_PROF_SM_OCCUPANCY":       1,
	"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": 1,
	"DCGM_FI_PROF_DRAM_ACTIVE":        1,
}

// remark is why a metric can not carry a target.
type remark struct {
	severity Severity
	text     string
}

const (
	queueInstead = "; use " + waiting
	busyInstead  = queueInstead + " for demand, DCGM_FI_PROF_DRAM_ACTIVE or _SM_ACTIVE for how busy the GPU is"
	allTaken     = "vLLM takes the GPU's memory when it starts"
	dutyCycle    = "is the part of the time in which some kernel ran, near its maximum with one request as with hundreds"
	notLoad      = "says nothing of how much work there is"
	constant     = "is a fact about the engine, not a load: it does not follow the replicas"
	capped       = "counts work that was done, which is never more than the replicas can do: it hides what they can not"
)

// remarks are the metrics that do not follow demand.
var remarks = map[string]remark{
	"DCGM_FI_DEV_GPU_UTIL":          {Warning, dutyCycle + busyInstead},
	"DCGM_FI_PROF_GR_ENGINE_ACTIVE": {Warning, dutyCycle + busyInstead},
	"DCGM_FI_DEV_MEM_COPY_UTIL":     {Warning, "is the part of the time in which memory was used at all, not how much of it" + busyInstead},
	"DCGM_FI_DEV_FB_USED":           {Warning, "never falls: " + allTaken + "; use " + kvUsage + ", the part that requests hold, or " + waiting},
	"DCGM_FI_DEV_FB_FREE":           {Warning, "never rises: " + allTaken + queueInstead},
	"DCGM_FI_DEV_FB_RESERVED":       {Warning, notLoad + queueInstead},
	"DCGM_FI_DEV_GPU_TEMP":          {Warning, notLoad + queueInstead},
	"DCGM_FI_DEV_MEMORY_TEMP":       {Warning, notLoad + queueInstead},
	"DCGM_FI_DEV_SM_CLOCK":          {Warning, notLoad + queueInstead},
	"DCGM_FI_DEV_MEM_CLOCK":         {Warning, notLoad + queueInstead},
	"DCGM_FI_DEV_XID_ERRORS":        {Warning, "is the number of the last error, so its size means nothing" + queueInstead},
	"vllm:cache_config_info":        {Warning, constant + queueInstead},
	"vllm:lora_requests_info":       {Warning, constant + queueInstead},
	"vllm:engine_sleep_state":       {Warning, constant + queueInstead},
	"vllm:request_success_total":    {Warning, capped + queueInstead},
	"vllm:generation_tokens_total":  {Note, capped + "; add " + waiting},
	"vllm:prompt_tokens_total":      {Note, capped + "; add " + waiting},
}

// metrics looks at what pods are asked for.
func (c *checker) metrics(a *autoscaler) {
	queued := slices.ContainsFunc(a.reads, func(names []string) bool {
		return slices.Contains(names, waiting) || slices.Contains(names, waitingByReason)
	})
	for i, s := range a.pa.Spec.MetricsSources {
		if s.Kind() != v1alpha1.PodSource {
			continue
		}
		names, at := a.reads[i], sourceField(i, "targetMetric")
		if s.Query != "" {
			at = sourceField(i, "query")
		}
		c.remark(a, at, names)
		c.unreachable(a, i, s, names)
		c.unknown(a, at, i)
		switch {
		case queued:
		case slices.Contains(names, running):
			c.say(a.object, Warning, at,
				"%s is never more than the engine's --max-num-seqs, so it does not show what waits; add a source for %s, or the query sum(%s) + sum(%s)",
				running, waiting, running, waiting)
		case slices.Contains(names, kvUsage):
			c.say(a.object, Note, at, "%s is at most 1 however many requests wait; add a source for %s to grow in one step", kvUsage, waiting)
		}
	}
}

// remark says what is known of a source's metrics when none of them follows demand.
func (c *checker) remark(a *autoscaler, at string, names []string) {
	if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return remarks[name].text == "" }) {
		return
	}
	for _, name := range names {
		c.say(a.object, remarks[name].severity, at, "%s %s", name, remarks[name].text)
	}
}

// unreachable finds a target that a pod's value can not exceed: nothing would ever be added.
func (c *checker) unreachable(a *autoscaler, i int, s v1alpha1.MetricSource, names []string) {
	v, err := strconv.ParseFloat(s.TargetValue, 64)
	if err != nil || s.TargetMetric == "" || len(names) != 1 {
		return
	}
	top, bounded := highest[names[0]]
	if !bounded || v < top {
		return
	}
	fix := fmt.Sprintf("write less, such as \"%g\"", top*0.8)
	if top == 1 && v > 1 && v < 100 {
		fix = fmt.Sprintf("for %g %% write \"%g\"", v, v/100)
	}
	c.say(a.object, Warning, sourceField(i, "targetValue"), "%s is from 0 to %g for each pod and never above %s, so nothing is ever added; %s",
		names[0], top, s.TargetValue, fix)
}

// unknown finds names that are a letter or two from that of a known metric. Any other unknown name is a metric of the
// user's own. A query reads the names that it has, where a targetMetric may also have AIBrix's short one.
func (c *checker) unknown(a *autoscaler, at string, i int) {
	s := a.pa.Spec.MetricsSources[i]
	if c.binder.Lookup == nil {
		return
	}
	names := []string{s.TargetMetric}
	if s.Query != "" {
		names = a.names[i]
	}
	for _, name := range names {
		m, known := c.binder.Lookup(name)
		meant := nearest(name, knownMetrics)
		switch {
		case known && s.Query != "" && len(m.Names) > 0 && !slices.Contains(m.Names, name):
			c.say(a.object, Warning, at, "%s is a short name, and a query reads series by the names that they are exported under; did you mean %s?", name, m.Names[0])
		case !known && meant != "" && strings.TrimSpace(name) != meant:
			c.say(a.object, Warning, at, "%s is no metric that is known; did you mean %s?", name, c.exported(meant, s))
		}
	}
}

// exported is a known metric's name as a source has to write it.
func (c *checker) exported(name string, s v1alpha1.MetricSource) string {
	if m, known := c.binder.Lookup(name); known && s.Query != "" && len(m.Names) > 0 && !slices.Contains(m.Names, name) {
		return m.Names[0]
	}
	return name
}

func sourceField(i int, name string) string {
	return fmt.Sprintf("spec.metricsSources[%d].%s", i, name)
}
