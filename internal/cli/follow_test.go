package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// decision is that of second n, by the n-th name's autoscaler.
func decision(name string, n int) *decisionv1.Decision {
	at := noon.Add(time.Duration(n) * time.Second)
	return &decisionv1.Decision{
		Id: fmt.Sprintf("%s-%d", name, n), AutoscalerUid: "uid-" + name, Namespace: "a", Name: name, At: timestamppb.New(at), To: int32(n), Sequence: uint64(n),
	}
}

func decided(name string, n int, skipped int32) *decisionv1.WatchDecisionsResponse {
	return &decisionv1.WatchDecisionsResponse{
		Event:       &decisionv1.WatchDecisionsResponse_Decision{Decision: decision(name, n)},
		ResumeToken: fmt.Sprintf("store/%d", n), Skipped: skipped,
	}
}

func synced(resumed bool) *decisionv1.WatchDecisionsResponse {
	return &decisionv1.WatchDecisionsResponse{Event: &decisionv1.WatchDecisionsResponse_Synced{Synced: &decisionv1.Synced{Resumed: resumed}}, ResumeToken: "store/s"}
}

func removed(name string) *decisionv1.WatchDecisionsResponse {
	r := &decisionv1.Removed{Uid: "uid-" + name, Namespace: "a", Name: name}
	return &decisionv1.WatchDecisionsResponse{Event: &decisionv1.WatchDecisionsResponse_Removed{Removed: r}, ResumeToken: "store/r"}
}

// script is a server whose watches say what is written for them, one after the other: what a slow reader, an instance with another
// store or a network that drops packets makes of a stream can't be had from a service on loopback on demand. After the last it hangs.
type script struct {
	watches [][]*decisionv1.WatchDecisionsResponse
	history map[string][]int // the seconds of a name's decisions

	mu     sync.Mutex
	tokens []string // that watches came with
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", noon.Format(http.TimeFormat))
	name, isHistory := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/api/decision/v1/autoscalers/a/"), "/decisions")
	if isHistory {
		s.serveHistory(w, r, name)
		return
	}
	s.mu.Lock()
	n := len(s.tokens)
	s.tokens = append(s.tokens, r.URL.Query().Get("resumeToken"))
	s.mu.Unlock()
	for i := 0; n < len(s.watches) && i < len(s.watches[n]); i++ {
		line, err := oneLine(s.watches[n][i])
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, "{\"result\":%s}\n", line[:len(line)-1])
	}
	_ = http.NewResponseController(w).Flush()
	if n >= len(s.watches)-1 {
		<-r.Context().Done()
	}
}

func (s *script) serveHistory(w http.ResponseWriter, r *http.Request, name string) {
	var page decisionv1.ListDecisionsResponse
	asked := func(key string, otherwise time.Time) time.Time {
		if at, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get(key)); err == nil {
			return at
		}
		return otherwise
	}
	start, end := asked("startTime", noon), asked("endTime", noon.Add(time.Hour))
	for _, n := range s.history[name] {
		d := decision(name, n)
		if at := d.At.AsTime(); !at.Before(start) && !at.After(end) {
			page.Decisions = append(page.Decisions, d)
		}
	}
	_ = writeJSON(w, &page)
}

// follow gives what a follower tells until it has told so much.
func (s *script) follow(t *testing.T, enough int) (lines []string, notes string) {
	t.Helper()
	srv := httptest.NewServer(s)
	defer srv.Close()
	c, err := direct(srv.URL)
	require.NoError(t, err)
	c.http = srv.Client()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f := newFollower(c, "", "")
	f.note = func(format string, a ...any) { notes += fmt.Sprintf(format, a...) + "\n" }
	f.tell = func(e *decisionv1.WatchDecisionsResponse) error {
		line := "-" + e.GetRemoved().GetName()
		if d := e.GetDecision(); d != nil {
			line = d.Id
		}
		if lines = append(lines, line); len(lines) == enough {
			cancel()
		}
		return nil
	}
	require.NoError(t, f.Run(ctx))
	return lines, notes
}

// A reader too slow for the stream is told of the latest and how many it missed; history has those. What it has not is said.
func TestWhatAStreamSkipsIsReadFromHistory(t *testing.T) {
	t.Parallel()
	s := &script{
		watches: [][]*decisionv1.WatchDecisionsResponse{{decided("x", 1, 0), synced(false), decided("x", 5, 3), decided("new", 6, 1), decided("x", 9, 2)}},
		history: map[string][]int{"x": {1, 2, 3, 4, 5, 8, 9}, "new": {5, 6}},
	}
	lines, notes := s.follow(t, 9)
	require.Equal(t, []string{"x-1", "x-2", "x-3", "x-4", "x-5", "new-5", "new-6", "x-8", "x-9"}, lines)
	require.Equal(t, "1 decisions of a/x could not be read back\n", notes)
}

// After a break: what was replaced meanwhile, who came, and what one who went had decided before.
func TestWhatHappenedDuringABreakIsReadFromHistory(t *testing.T) {
	t.Parallel()
	s := &script{
		watches: [][]*decisionv1.WatchDecisionsResponse{
			{decided("x", 1, 0), decided("gone", 2, 0), decided("same", 3, 0), synced(false)},
			{removed("gone"), decided("x", 6, 0), decided("new", 8, 0), synced(true), decided("x", 9, 0)},
		},
		history: map[string][]int{"x": {1, 4, 6}, "gone": {2, 5}, "same": {3}, "new": {7, 8}},
	}
	lines, notes := s.follow(t, 10)
	require.Equal(t, []string{"x-1", "gone-2", "same-3", "gone-5", "-gone", "x-4", "x-6", "new-7", "new-8", "x-9"}, lines)
	require.Equal(t, "the connection was closed; next try in 1s\nconnected again\n", notes)
	require.Equal(t, []string{"", "store/s"}, s.tokens)
}

// Another instance has a store of its own, so its snapshot is whole: nothing is told twice, and who is not in it is gone.
func TestAnotherInstanceRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := &script{
		watches: [][]*decisionv1.WatchDecisionsResponse{
			{decided("x", 1, 0), decided("gone", 2, 0), decided("same", 3, 0), synced(false)},
			{decided("same", 3, 0), decided("x", 6, 0), synced(false), decided("x", 9, 0)},
		},
		history: map[string][]int{"x": {1, 4, 6}},
	}
	lines, _ := s.follow(t, 7)
	require.Equal(t, []string{"x-1", "gone-2", "same-3", "x-4", "x-6", "-gone", "x-9"}, lines)
}

// A stream without so much as a heartbeat is lost, whatever the connection says.
func TestAStreamThatSaysNothingIsLost(t *testing.T) {
	t.Parallel()
	s := &script{watches: [][]*decisionv1.WatchDecisionsResponse{{decided("x", 1, 0), synced(false)}, {decided("x", 2, 0), synced(true)}}}
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		first := len(s.tokens) == 0
		s.mu.Unlock()
		s.ServeHTTP(w, r)
		if first {
			<-r.Context().Done()
		}
	}))
	defer hang.Close()
	c, err := direct(hang.URL)
	require.NoError(t, err)
	c.http = hang.Client()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f := newFollower(c, "", "")
	f.silence = 200 * time.Millisecond
	var notes, lines []string
	f.note = func(format string, a ...any) { notes = append(notes, fmt.Sprintf(format, a...)) }
	f.tell = func(e *decisionv1.WatchDecisionsResponse) error {
		if lines = append(lines, e.GetDecision().GetId()); len(lines) == 2 {
			cancel()
		}
		return nil
	}
	require.NoError(t, f.Run(ctx))
	require.Equal(t, []string{"x-1", "x-2"}, lines)
	require.Equal(t, "nothing was heard for too long; next try in 1s", notes[0])
}

// Whoever reads no more ends the watch, and so does a server that is none of flyball's.
func TestAWatchEndsWhereAskingAgainIsOfNoUse(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<html>\n":                     "not as flyball does",
		"{\"result\":{}}\n{\"x\":1}\n": "not as flyball does",
		`{"error":{"message":"no"}}`:   "no",
		"":                             "the connection was closed",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		c, err := direct(srv.URL)
		require.NoError(t, err)
		c.http = srv.Client()
		err = newFollower(c, "", "").Run(context.Background())
		srv.Close()
		require.ErrorContains(t, err, want)
	}
	s := &script{watches: [][]*decisionv1.WatchDecisionsResponse{{synced(false), decided("x", 1, 0)}}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	c, err := direct(srv.URL)
	require.NoError(t, err)
	c.http = srv.Client()
	f := newFollower(c, "", "")
	f.tell = func(*decisionv1.WatchDecisionsResponse) error { return http.ErrBodyNotAllowed }
	require.ErrorIs(t, f.Run(context.Background()), http.ErrBodyNotAllowed)
}
