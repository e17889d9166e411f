package frames

import (
	"fmt"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// grace is for how long after its last repetition a decision still counts as what is wanted. flyball decides every few seconds.
const grace = time.Minute

// series is one frame of the type timeseries-multi that is drawn as steps.
type series struct {
	times  []time.Time
	values []*float64
}

func (s *series) add(t time.Time, v *float64) {
	if n := len(s.times); n > 0 && !t.After(s.times[n-1]) {
		s.values[n-1] = v // a second word on the same moment is the later one
		return
	}
	s.times, s.values = append(s.times, t), append(s.values, v)
}

func count(n int32) *float64 { v := float64(n); return &v }

func (s *series) frame(value, namespace, name, display string) *data.Frame {
	v := data.NewField(value, data.Labels{"namespace": namespace, "name": name}, s.values)
	v.SetConfig(&data.FieldConfig{DisplayNameFromDS: display, Custom: map[string]any{"lineInterpolation": "stepAfter"}})
	f := data.NewFrame("", data.NewField("time", nil, s.times), v)
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTimeSeriesMulti, TypeVersion: version, PreferredVisualization: data.VisTypeGraph}
	return f
}

// NoSeries is the answer of no series.
func NoSeries() *data.Frame {
	f := data.NewFrame("")
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTimeSeriesMulti, TypeVersion: version}
	return f
}

// Past is what is known of one autoscaler between two times.
type Past struct {
	Namespace, Name string
	Before          *decisionv1.ExplainResponse // of the beginning; nil when nothing was decided until then
	Decisions       []*decisionv1.Decision      // oldest first
	Last            *decisionv1.ExplainResponse // of the end; nil when the decisions were not read up to there
}

// Wanted is the count that was wanted over time. It begins with the decision that held at the beginning, has a step for each
// decision since, and ends when flyball last decided so: what nobody decided is not drawn. Nil when nothing was decided.
func Wanted(p Past, from, to time.Time) *data.Frame {
	var s series
	if b := p.Before; b != nil && !from.After(b.GetLastTime().AsTime().Add(grace)) {
		s.add(from, count(b.GetDecision().GetTo()))
	}
	for _, d := range p.Decisions {
		s.add(d.GetAt().AsTime(), count(d.GetTo()))
	}
	if n := len(s.times); n > 0 && p.Last != nil {
		if ended := p.Last.GetLastTime().AsTime(); ended.After(s.times[n-1]) {
			s.add(ended, count(p.Last.GetDecision().GetTo()))
		}
	}
	if len(s.times) == 0 {
		return nil
	}
	f := s.frame("wanted", p.Namespace, p.Name, who(p.Namespace, p.Name))
	if ended := p.Last.GetLastTime().AsTime(); p.Last != nil && to.After(ended.Add(grace)) {
		f.AppendNotices(data.Notice{Severity: data.NoticeSeverityWarning, Text: fmt.Sprintf(
			"%s: nothing was decided after %s, up to the range's end", who(p.Namespace, p.Name), ended.UTC().Format(time.RFC3339))})
	}
	return f
}
