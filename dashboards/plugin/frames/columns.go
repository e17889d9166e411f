package frames

import (
	"fmt"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// version of the data plane contract that the frames follow.
var version = data.FrameTypeVersion{0, 1}

// column is a field with a value for each row.
func column[R, V any](name string, rows []R, value func(R) V) *data.Field {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = value(r)
	}
	return data.NewField(name, nil, values)
}

// table is a frame for tables. Its name tells it from the others of the same answer.
func table(name string, fields ...*data.Field) *data.Frame {
	f := data.NewFrame(name, fields...)
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTable, TypeVersion: version, PreferredVisualization: data.VisTypeTable}
	return f
}

// linked makes a decision's id lead to its place on flyball's page.
func linked(f *data.Field, page string) *data.Field {
	return f.SetConfig(&data.FieldConfig{Links: []data.DataLink{{
		Title: "Why, on flyball's page", URL: page + "/decisions/${__value.raw}", TargetBlank: true,
	}}})
}

func unit(f *data.Field, unit string) *data.Field { return f.SetConfig(&data.FieldConfig{Unit: unit}) }

// given is a pointer to a value that is there, and nil for one that is not.
func given[T any](ok bool, v T) *T {
	if !ok {
		return nil
	}
	return &v
}

func text(s string) *string { return given(s != "", s) }

func moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

func seconds(d *durationpb.Duration) *float64 {
	if d == nil {
		return nil
	}
	s := d.AsDuration().Seconds()
	return &s
}

// verdict is ScaleUp, ScaleDown or Hold, as flyball says it everywhere else.
func verdict(v decisionv1.Verdict) *string {
	switch v {
	case decisionv1.Verdict_VERDICT_SCALE_UP:
		return text("ScaleUp")
	case decisionv1.Verdict_VERDICT_SCALE_DOWN:
		return text("ScaleDown")
	case decisionv1.Verdict_VERDICT_HOLD:
		return text("Hold")
	}
	return nil
}

// state is Fresh, Stale, Missing or NoPods.
func state(w *decisionv1.Window) *string {
	switch w.GetState() {
	case decisionv1.WindowState_WINDOW_STATE_FRESH:
		return text("Fresh")
	case decisionv1.WindowState_WINDOW_STATE_STALE:
		return text("Stale")
	case decisionv1.WindowState_WINDOW_STATE_MISSING:
		return text("Missing")
	case decisionv1.WindowState_WINDOW_STATE_NO_PODS:
		return text("NoPods")
	}
	return nil
}

// binding is the rule that had the last word; nil when there is no reason.
func binding(d *decisionv1.Decision) *decisionv1.Reason {
	if n := len(d.GetReasons()); n > 0 {
		return d.GetReasons()[n-1]
	}
	return nil
}

func who(namespace, name string) string { return namespace + "/" + name }

// maxNotices bounds what is said above a panel.
const maxNotices = 8

// Warnings are notices, the first few of them, and how many there are more.
func Warnings(lines ...string) []data.Notice {
	var out []data.Notice
	for i, line := range lines {
		if i == maxNotices {
			out = append(out, data.Notice{Severity: data.NoticeSeverityWarning, Text: fmt.Sprintf("and %d more", len(lines)-i)})
			break
		}
		out = append(out, data.Notice{Severity: data.NoticeSeverityWarning, Text: line})
	}
	return out
}
