package client

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// answering is a server that answers by path and question.
func answering(t *testing.T, status int, bodies map[string]string) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.RequestURI()]
		if !ok {
			body, ok = bodies["*"]
		}
		if !ok {
			t.Errorf("asked for %s", r.URL.RequestURI())
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	c, err := New(s.Client(), s.URL+"/")
	require.NoError(t, err)
	return c
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestEveryPageIsRead(t *testing.T) {
	c := answering(t, http.StatusOK, map[string]string{
		root + "autoscalers?namespace=a&pageSize=1000":                 `{"autoscalers": [{"name": "x"}], "nextPageToken": "a/x"}`,
		root + "autoscalers?namespace=a&pageSize=1000&pageToken=a%2Fx": `{"autoscalers": [{"name": "y"}], "nextPageToken": ""}`,
		root + "autoscalers?namespace=none&pageSize=1000":              `{"autoscalers": []}`,
		root + "autoscalers?namespace=later&pageSize=1000":             `{"autoscalers": [], "aNewKey": {"of": "a newer flyball"}}`,
		"/api/v1/status/buildinfo":                                     `{"status": "success", "data": {"application": "flyball", "version": "3.16.0", "revision": "v1"}}`,
	})
	for namespace, want := range map[string]int{"a": 2, "none": 0, "later": 0} {
		all, err := c.Autoscalers(context.Background(), namespace)
		require.NoError(t, err)
		require.Len(t, all, want)
	}
	version, err := c.Version(context.Background())
	require.NoError(t, err)
	require.Equal(t, "v1", version, "flyball's own, not that of the API that it speaks")
}

func TestHistoryIsCutAtTheLimitAndNotSooner(t *testing.T) {
	path := root + "autoscalers/a/x/decisions?endTime=2026-01-01T13%3A00%3A00Z&pageSize="
	start := "&startTime=2026-01-01T12%3A00%3A00Z"
	c := answering(t, http.StatusOK, map[string]string{
		path + "3" + start:               `{"decisions": [{"to": 1}, {"to": 2}], "nextPageToken": "t"}`,
		path + "1&pageToken=t" + start:   `{"decisions": [{"to": 3}], "nextPageToken": "u"}`,
		path + "1000" + start:            `{"decisions": [{"to": 1}, {"to": 2}], "nextPageToken": "t"}`,
		path + "998&pageToken=t" + start: `{"decisions": [{"to": 3}], "nextPageToken": ""}`,
	})
	for limit, cut := range map[int]bool{3: true, 1000: false} {
		all, got, err := c.Decisions(context.Background(), "a", "x", noon, noon.Add(time.Hour), limit)
		require.NoError(t, err)
		require.Equal(t, cut, got)
		require.Equal(t, []int32{1, 2, 3}, []int32{all[0].GetTo(), all[1].GetTo(), all[2].GetTo()})
	}
	require.Equal(t, "GET "+path+"1000"+start+"\nGET "+path+"3"+start, c.Asked(), "pages after the first are not named")
}

func TestAnErrorSaysWhatFlyballSaidOrThatItWasNotFlyball(t *testing.T) {
	starting := `{"code":14,"message":"flyball is starting","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"NOT_READY"}]}`
	for _, c := range []struct {
		status int
		body   string
		code   codes.Code
		want   string
	}{
		{404, `{"code":5,"message":"a/x: no decision is recorded","details":[]}`, codes.NotFound, "flyball: a/x: no decision is recorded"},
		{503, starting, codes.Unavailable, "flyball: flyball is starting; ask again in a few seconds"},
		{501, `{"code":12,"message":"unknown method Backtest"}`, codes.Unimplemented, "this flyball cannot do that: unknown method Backtest; run a newer one"},
		{404, `404 page not found`, codes.Unknown, "answers 404 Not Found, and not as flyball does; is the data source's URL flyball's HTTP address (--listen), without a path?"},
		{401, `<html>`, codes.Unknown, "answers 401 Unauthorized, and not as flyball does; if something that asks for credentials stands before flyball, set them in the data source"},
		{404, `{"kind":"Status","code":404}`, codes.Unknown, "not as flyball does"},
		{200, `{"status":"success","data":{}}`, codes.Unknown, "answers 200 OK, and not as flyball does"},
		{200, `{"decision": 7}`, codes.Unknown, "not as flyball does"},
		{200, ``, codes.Unknown, "not as flyball does"},
	} {
		_, err := answering(t, c.status, map[string]string{"*": c.body}).Explain(context.Background(), "a", "x", noon)
		require.ErrorContains(t, err, c.want, c.body)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, c.code, e.Code)
		require.Equal(t, c.status, e.HTTP)
		require.Equal(t, c.code == codes.NotFound, Missing(err))
	}
}

func TestAnAnswerWithoutEndIsNotReadToItsEnd(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for blank := make([]byte, 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(blank); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	c, err := New(s.Client(), s.URL)
	require.NoError(t, err)
	_, err = c.Autoscalers(context.Background(), "")
	require.ErrorContains(t, err, "the answer has more than 32 MiB; ask for a shorter time")
}

func TestNobodyThereSaysWhereItWasLookedFor(t *testing.T) {
	s := httptest.NewServer(nil)
	address := s.URL
	s.Close()
	c, err := New(http.DefaultClient, address)
	require.NoError(t, err)
	_, err = c.Backtest(context.Background(), "a", "x", noon, noon.Add(time.Hour), &decisionv1.PolicyChanges{})
	require.ErrorContains(t, err, "flyball does not answer at "+address)
	require.ErrorContains(t, err, "check that it runs")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = c.Autoscalers(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "flyball does not answer", "the one who asked went away")
}
