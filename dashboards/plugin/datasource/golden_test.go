package datasource

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/experimental"
	"github.com/stretchr/testify/require"
)

// What links lead to does not depend on the port that the recording is answered on.
const page = "https://flyball.example.com/"

var goldens = map[string]string{
	"autoscalers":           `{"queryType": "autoscalers"}`,
	"autoscalers_of_a_list": `{"queryType": "autoscalers", "namespace": "team-a,team-c", "name": "chat,nobody"}`,
	"decisions":             `{"queryType": "decisions", "namespace": "team-a", "name": "chat"}`,
	"decisions_cut":         `{"queryType": "decisions", "namespace": "team-a", "name": "chat", "limit": 2}`,
	"replicas":              `{"queryType": "replicas"}`,
	"explanation":           `{"queryType": "explanation", "namespace": "team-a", "name": "chat"}`,
	"annotations":           `{"queryType": "annotations", "namespace": "team-a,team-b"}`,
	"whatif":                `{"queryType": "whatif", "namespace": "team-a", "name": "chat", "changes": {"maxReplicas": 2, "scaleDownDelay": "1s"}}`,
}

func TestRecordedAnswersBecomeTheseFrames(t *testing.T) {
	r, url := openRecording(t)
	d := open(t, backend.DataSourceInstanceSettings{UID: "fly", Name: "flyball", Type: "flyball-datasource", URL: url, JSONData: json.RawMessage(`{"pageUrl": "` + page + `"}`)})
	d.now = func() time.Time { return r.To }
	for _, name := range slices.Sorted(maps.Keys(goldens)) {
		t.Run(name, func(t *testing.T) {
			resp := ask1(t, d, r.From, r.To, goldens[name])
			for _, f := range resp.Frames {
				keepsItsPromise(t, f)
			}
			experimental.CheckGoldenJSONResponse(t, "testdata", name, &resp, *rewrite)
		})
	}
	t.Run("what flyball refuses", func(t *testing.T) {
		for model, want := range map[string]string{
			`{"queryType": "explanation", "namespace": "team-a", "name": "chta"}`:                                                          "flyball: team-a/chta: no decision is recorded of that name; the nearest are team-a/chat",
			`{"queryType": "whatif", "namespace": "team-a", "name": "chat", "changes": {"targets": [{"source": "nothing", "target": 3}]}}`: "flyball: changes.targets[0].source: team-a/chat has no source nothing",
		} {
			resp := ask1(t, d, r.From, r.To, model)
			require.ErrorContains(t, resp.Error, want)
			require.Equal(t, backend.ErrorSourceDownstream, resp.ErrorSource)
		}
	})
	t.Run("a range of the past, asked for what is only known of now", func(t *testing.T) {
		d.now = func() time.Time { return r.To.Add(time.Hour) }
		resp := ask1(t, d, r.From, r.To, `{"queryType": "autoscalers"}`)
		require.Contains(t, resp.Frames[0].Meta.Notices[0].Text, "how they stand now, and not at the range's end")
	})
	t.Run("health", func(t *testing.T) {
		got, err := d.CheckHealth(context.Background(), nil)
		require.NoError(t, err)
		require.Equal(t, backend.HealthStatusOk, got.Status)
		require.Regexp(t, `^flyball \S+ answers; it decides for 4 autoscalers$`, got.Message)
	})
}

// keepsItsPromise holds a frame against what the data plane contract says of its type.
func keepsItsPromise(t *testing.T, f *data.Frame) {
	t.Helper()
	require.NotNil(t, f.Meta)
	require.NotEmpty(t, f.Meta.ExecutedQueryString)
	require.Equal(t, data.FrameTypeVersion{0, 1}, f.Meta.TypeVersion)
	rows, err := f.RowLen()
	require.NoError(t, err)
	switch f.Meta.Type {
	case data.FrameTypeTimeSeriesMulti:
		require.Equal(t, data.TimeSeriesTypeWide, f.TimeSeriesSchema().Type, "one time field, one number with labels")
		require.Len(t, f.Fields, 2)
		require.Equal(t, data.FieldTypeTime, f.Fields[0].Type())
		for i := 1; i < rows; i++ {
			require.True(t, f.Fields[0].At(i-1).(time.Time).Before(f.Fields[0].At(i).(time.Time)), "ascending, each time once")
		}
	case data.FrameTypeTable:
		seen := map[string]bool{}
		for _, field := range f.Fields {
			require.False(t, seen[field.Name], field.Name)
			seen[field.Name] = true
		}
	default:
		t.Errorf("frame type %q", f.Meta.Type)
	}
}
