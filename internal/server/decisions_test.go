package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

// two is a fleet of one autoscaler, whose target has 2 replicas and whose only rule is to have at least 3.
type two struct{}

func (two) Autoscalers(time.Time) []loop.Autoscaler {
	return []loop.Autoscaler{{
		UID: "u", Namespace: "a", Name: "llm", Target: loop.Target{Kind: "Deployment", Name: "llm", UID: "t"},
		Policy: decider.Policy{Strategy: decider.APA, Mode: decider.Advise, MinReplicas: 3, MaxReplicas: 9},
	}}
}

func (two) Scale(context.Context, loop.Autoscaler, time.Time) (loop.Scale, error) {
	return loop.Scale{Replicas: 2, StatusReplicas: 2, Ready: 2}, nil
}

func (two) Apply(context.Context, loop.Autoscaler, decider.Decision) decider.Outcome {
	panic("BUG: mode Advise is never applied")
}

func (f facts) Watermark(time.Time) bool { return true }

func (f facts) Windows(context.Context, *query.Bound, time.Time, ...time.Duration) ([]query.Window, error) {
	return nil, errors.New("there is no source to ask for")
}

// explaining is a server over the journal of a loop that decided each second from noon on, for 10 s.
func explaining(t *testing.T) *Server {
	s := newTestServer(t)
	f := s.Queries.(facts)
	l := loop.New(loop.Options{Fleet: two{}, Windows: f, Journal: f.store.Journal(), Tick: time.Second, Publish: func(loop.Result) {}})
	for i := range 10 {
		require.NoError(t, l.Step(context.Background(), noon.Add(time.Duration(i)*time.Second)))
	}
	s.Explain = loop.Records{Journal: f.store.Journal()}.Explain
	s.Now = func() time.Time { return noon.Add(time.Minute) }
	return s
}

func TestADecisionIsExplainedWithItsRecordAndInWords(t *testing.T) {
	s := explaining(t)
	for target, last := range map[string]time.Time{
		"/api/v1/explain?namespace=a&name=llm":                           noon.Add(9 * time.Second),
		"/api/v1/explain?namespace=a&name=llm&at=55s":                    noon.Add(5 * time.Second),
		"/api/v1/explain?namespace=a&name=llm&at=1m":                     noon,
		"/api/v1/explain?namespace=a&name=llm&at=2026-01-01T12:00:04.9Z": noon.Add(4 * time.Second),
	} {
		code, body := get(t, s, target)
		require.Equal(t, http.StatusOK, code, body)
		var got struct {
			Status string
			Data   Explained
		}
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		require.Equal(t, "success", got.Status)
		e := got.Data.Explanation
		require.Equal(t, last, e.Last.UTC(), target)
		require.Equal(t, "a", e.Record.Namespace)
		require.EqualValues(t, 3, e.Record.Decision.To)
		require.Equal(t, []loop.Without{{Bound: "minReplicas", Value: 3, To: 2}}, e.Without)
		require.Equal(t, e.String(), got.Data.Text)
		require.Contains(t, got.Data.Text, e.Record.Decision.Explain())
	}
}

func TestWhatCannotBeExplainedSaysWhy(t *testing.T) {
	s := explaining(t)
	for target, want := range map[string]struct {
		code       int
		kind, text string
	}{
		"/api/v1/explain?name=llm":                                       {400, "bad_data", "parameter namespace: missing"},
		"/api/v1/explain?namespace=a":                                    {400, "bad_data", "parameter name: missing"},
		"/api/v1/explain?namespace=a&name=llm&at=yesterday":              {400, "bad_data", "neither a time such as 2026-01-01T12:00:00Z nor how long ago"},
		"/api/v1/explain?namespace=a&name=llm&at=-5m":                    {400, "bad_data", "parameter at"},
		"/api/v1/explain?namespace=a&name=lm":                            {404, "not_found", "the nearest are a/llm"},
		"/api/v1/explain?namespace=a&name=llm&at=2026-01-01T11:00:00Z":   {404, "not_found", "the first is of 2026-01-01T12:00:00Z"},
		"/api/v1/explain?namespace=a&name=llm&at=2026-01-01T12:00:00+01": {400, "bad_data", "parameter at"},
	} {
		code, body := get(t, s, target)
		require.Equal(t, want.code, code, body)
		require.Contains(t, body, `"errorType":"`+want.kind+`"`, target)
		require.Contains(t, body, want.text, target)
	}
	j := s.Queries.(facts).store.Journal()
	require.NoError(t, j.Append(store.Record{Kind: loop.KindDecision, Key: "u/t", At: noon.Add(time.Hour), Data: []byte("{")}))
	code, body := get(t, s, "/api/v1/explain?namespace=a&name=llm")
	require.Equal(t, http.StatusInternalServerError, code, "a record that can't be read is the server's fault")
	require.Contains(t, body, "decision of 2026-01-01T13:00:00Z")
}

// Whatever is written for a time, it is one, or the error says what to write.
func FuzzParseAt(f *testing.F) {
	for _, s := range []string{"", "10m", "1h30m", "0", "2026-01-01T12:00:00Z", "2026-01-01T12:00:00.5+01:00", "yesterday", "-5m", "1767268800"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := ParseAt(s, noon)
		if err != nil {
			require.ErrorContains(t, err, "neither a time such as")
			return
		}
		_, notTime := time.Parse(time.RFC3339Nano, s)
		require.True(t, notTime == nil || !at.After(noon), "a time ago is never ahead: %s", at)
	})
}
