package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/cli"
	"github.com/flyball/flyball/internal/loop"
)

// typed runs flyball, or kubectl's plugin, as a person would, and gives what it printed.
func typed(ctx context.Context, program string, args ...string) (stdout, stderr string, err error) {
	var out, notes bytes.Buffer
	root := newRoot(program)
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&notes)
	err = root.ExecuteContext(ctx)
	return out.String(), notes.String(), err
}

// explainOptions are the flags of flyball explain.
type explainOptions struct {
	at, server, dir string
	json            bool
}

func explained(who string, o explainOptions) (string, error) {
	args := []string{"explain", who}
	for flag, value := range map[string]string{"--at": o.at, "--server": o.server, "--data-dir": o.dir} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if o.json {
		args = append(args, "--json")
	}
	out, _, err := typed(context.Background(), "flyball", args...)
	return out, err
}

// A standalone run is asked why while it runs; after it has stopped its store says the same.
func TestARunningServiceAndItsStoreExplainTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	running := explainOptions{server: "http://" + r.service.listener.Addr().String()}
	stopped := explainOptions{dir: r.data()}
	var whileRunning string
	var at time.Time
	t.Cleanup(func() { // after the run has ended
		o := stopped
		o.at = at.Format(time.RFC3339)
		text, err := explained("a/llm", o)
		require.NoError(t, err)
		require.Equal(t, whileRunning, text)

		o.at = ""
		o.json = true
		text, err = explained("a/llm", o)
		require.NoError(t, err)
		var all decisionv1.ExplainResponse
		require.NoError(t, protojson.Unmarshal([]byte(text), &all))
		require.False(t, all.LastTime.AsTime().Before(at))

		_, err = explained("b/lm", stopped)
		require.EqualError(t, err, "explain: b/lm: no decision is recorded of that name; the nearest are b/llm, a/llm")
		o = stopped
		o.at = "1h"
		_, err = explained("a/llm", o)
		require.ErrorIs(t, err, loop.ErrNoRecord)
	})
	r.pod("a", "llm", "llm-0", r.exporter(page("queue 450\n")))
	r.pod("b", "llm", "llm-0", r.exporter(page("queue 3\n")))
	r.autoscaler("a", "llm", queueSource)
	r.autoscaler("b", "llm", queueSource)
	r.run()
	r.await(map[string]func(decider.Decision) error{"b/llm": to(1), "a/llm": func(d decider.Decision) error {
		at = d.At
		return to(20)(d)
	}})

	o := running
	o.at = at.Format(time.RFC3339)
	var err error
	whileRunning, err = explained("a/llm", o)
	require.NoError(t, err)
	for _, want := range []string{
		"a/llm (Workload llm), decision ", "1 → 20 ScaleUp at ", "need: queue asks for 45: 450 over ",
		"bounds: 20 instead of 45: maxReplicas is 20", "outcome: Advise: shown, not written",
		"inputs: 1 replicas, 1 ready, 0 starting, 0 unschedulable", "queue, stable window: 450 over 4s, newest sample ", "1 of 1 exporters reporting",
		"bounds: minReplicas 1, maxReplicas 20", "without maxReplicas 20: 45",
	} {
		require.Contains(t, whileRunning, want)
	}

	o.json = true
	asJSON, err := explained("a/llm", o)
	require.NoError(t, err)
	var all decisionv1.ExplainResponse
	require.NoError(t, protojson.Unmarshal([]byte(asJSON), &all))
	require.Equal(t, whileRunning, all.Text)
	require.EqualValues(t, 20, all.Decision.To)

	_, err = explained("a/lm", running)
	require.EqualError(t, err, "explain: a/lm: no decision is recorded of that name; the nearest are a/llm, b/llm")
	_, err = explained("a/llm", stopped)
	require.ErrorContains(t, err, "a running process has it open; ask it: give --server")
}

// Whoever answers at the address that is not flyball is named with what it said.
func TestSomebodyElseAtTheAddressIsNotTakenForFlyball(t *testing.T) {
	t.Parallel()
	for body, status := range map[string]int{"<html>": 200, "": 502, "{}": 200, "[]": 200} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		_, err := explained("a/llm", explainOptions{server: srv.URL + "/"})
		srv.Close()
		require.ErrorContains(t, err, fmt.Sprintf("answers %d %s, and not as flyball does; is --server its address?", status, http.StatusText(status)))
	}
}

// run and demo listen where explain asks, unless told otherwise.
func TestExplainAsksWhereRunAndDemoListen(t *testing.T) {
	for _, cmd := range []*cobra.Command{newRun(), newDemo()} {
		require.Equal(t, cli.DefaultServer, "http://"+cmd.Flags().Lookup("listen").DefValue)
	}
}
