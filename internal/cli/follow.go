package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

const (
	firstWait = time.Second
	longWait  = 10 * time.Second
	// longSilence is three heartbeats: a stream that says nothing for as long is lost, whatever TCP thinks of it.
	longSilence = 30 * time.Second
	// inFlight is how much older than a snapshot a decision can be that it does not have yet: a turn has one tick.
	inFlight = 10 * time.Second
)

// follower tells of every decision that is recorded, over restarts of the server, lost connections and gaps in the stream. Watches
// tell the latest decision of each autoscaler; those in between are read from history. Of one name, decisions are known by their
// times, which only grow; sequences are of one store, and the instance that answers may change.
type follower struct {
	client          *client
	namespace, name string
	tell            func(*decisionv1.WatchDecisionsResponse) error // of a decision or a removal
	note            func(format string, a ...any)
	silence         time.Duration // after which a stream counts as lost

	token  string
	synced bool      // a snapshot has been complete
	began  time.Time // what was recorded from then on is told, by the server's clock
	told   map[who]told
}

// who is an autoscaler by name.
type who struct{ namespace, name string }

// told is the last decision of a name that was told.
type told struct {
	at      time.Time
	id, uid string
	gone    bool
}

func newFollower(c *client, namespace, name string) *follower {
	return &follower{client: c, namespace: namespace, name: name, silence: longSilence, told: map[who]told{}}
}

// outputError is what tell said; nobody reads any more.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

var errSilent = errors.New("nothing was heard for too long")

// Run follows until ctx ends, which is no error. Only what asking again can not mend is one, and not to reach the server at first.
func (f *follower) Run(ctx context.Context) error {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		synced, err := f.stream(ctx)
		var output outputError
		switch {
		case ctx.Err() != nil:
			return nil
		case !f.synced || final(err) || errors.As(err, &output):
			return err
		case synced:
			wait = firstWait
		}
		f.note("%v; next try in %s", err, wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// stream reads one watch to its end, which always is an error. It says whether its snapshot was complete.
func (f *follower) stream(ctx context.Context) (synced bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(f.silence, func() { cancel(errSilent) })
	defer silent.Stop()
	resp, err := f.client.open(ctx, "watch", url.Values{"namespace": {f.namespace}, "name": {f.name}, "resumeToken": {f.token}})
	if err != nil {
		return false, lost(ctx, err)
	}
	defer resp.Body.Close()
	if f.began.IsZero() {
		f.began = clockOf(resp).Add(-inFlight)
	}
	s := &snapshot{again: f.synced, names: map[who]bool{}}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		silent.Stop() // reading history has deadlines of its own
		e, err := f.event(resp, lines.Bytes())
		if err != nil {
			return s.synced, err
		}
		if err := f.handle(ctx, e, s); err != nil {
			return s.synced, err
		}
		f.token = e.GetResumeToken()
		silent.Reset(f.silence)
	}
	return s.synced, lost(ctx, lines.Err())
}

// lost says how a stream ended.
func lost(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err == nil {
		return errors.New("the connection was closed")
	}
	return err
}

// event reads a line of a watch.
func (f *follower) event(resp *http.Response, line []byte) (*decisionv1.WatchDecisionsResponse, error) {
	var said struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	var e decisionv1.WatchDecisionsResponse
	switch err := json.Unmarshal(line, &said); {
	case err == nil && said.Error != nil:
		return nil, errors.New(said.Error.Message)
	case err != nil || said.Result == nil || decode(said.Result, &e) != nil:
		return nil, f.client.stranger(resp)
	}
	return &e, nil
}

// snapshot is what one watch has told.
type snapshot struct {
	again  bool // the watch was taken up again, so decisions may have been recorded and replaced meanwhile
	synced bool
	names  map[who]bool // in the snapshot
}

func (f *follower) handle(ctx context.Context, e *decisionv1.WatchDecisionsResponse, s *snapshot) error {
	behind := s.again && !s.synced
	switch {
	case e.GetDecision() != nil:
		d := e.GetDecision()
		s.names[who{d.Namespace, d.Name}] = true
		if behind || e.Skipped > 0 {
			end := d.GetAt().AsTime().Add(-time.Nanosecond)
			n, err := f.fill(ctx, d.Namespace, d.Name, "", end)
			if err != nil {
				return err
			}
			if missing := int(e.Skipped) - n; missing > 0 {
				f.note("%d decisions of %s/%s could not be read back", missing, d.Namespace, d.Name)
			}
		}
		_, err := f.decided(d)
		return err
	case e.GetRemoved() != nil:
		return f.removed(ctx, e.GetRemoved(), behind || e.Skipped > 0)
	case e.GetSynced() != nil:
		s.synced, f.synced = true, true
		if behind {
			f.note("connected again")
			if !e.GetSynced().GetResumed() {
				return f.forget(ctx, s)
			}
		}
	}
	return nil
}

// decided tells of a decision, unless it was told before, and says whether it did.
func (f *follower) decided(d *decisionv1.Decision) (bool, error) {
	at, last := d.GetAt().AsTime(), f.told[who{d.Namespace, d.Name}]
	if at.Before(last.at) || at.Equal(last.at) && d.Id == last.id {
		return false, nil
	}
	event := &decisionv1.WatchDecisionsResponse{Event: &decisionv1.WatchDecisionsResponse_Decision{Decision: d}}
	if err := f.tell(event); err != nil {
		return false, outputError{err}
	}
	f.told[who{d.Namespace, d.Name}] = told{at: at, id: d.Id, uid: d.AutoscalerUid}
	return true, nil
}

// removed tells of a removal, and before it of what history has of the autoscaler, if some of that may not have been told.
func (f *follower) removed(ctx context.Context, r *decisionv1.Removed, behind bool) error {
	if behind {
		if _, err := f.fill(ctx, r.Namespace, r.Name, r.Uid, time.Time{}); err != nil {
			return err
		}
	}
	last := f.told[who{r.Namespace, r.Name}]
	if last.uid != r.Uid || last.gone {
		return nil // it was never told of, or another bears its name by now
	}
	if err := f.tell(&decisionv1.WatchDecisionsResponse{Event: &decisionv1.WatchDecisionsResponse_Removed{Removed: r}}); err != nil {
		return outputError{err}
	}
	last.gone = true
	f.told[who{r.Namespace, r.Name}] = last
	return nil
}

// forget removes who is not in a snapshot that is not a continuation of the last.
func (f *follower) forget(ctx context.Context, s *snapshot) error {
	var gone []*decisionv1.Removed
	for id, last := range f.told {
		if !s.names[id] && !last.gone {
			gone = append(gone, &decisionv1.Removed{Uid: last.uid, Namespace: id.namespace, Name: id.name})
		}
	}
	slices.SortFunc(gone, func(x, y *decisionv1.Removed) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
	})
	for _, r := range gone {
		if err := f.removed(ctx, r, true); err != nil {
			return err
		}
	}
	return nil
}

// fill tells of what history has of a name up to a time, now when it is zero, and was not told yet; with a UID, only of that
// autoscaler. It gives how many that were.
func (f *follower) fill(ctx context.Context, namespace, name, uid string, end time.Time) (n int, err error) {
	start := f.told[who{namespace, name}].at
	if start.IsZero() {
		start = f.began
	}
	query := url.Values{"startTime": {start.Format(time.RFC3339Nano)}, "pageSize": {pageSize}}
	if !end.IsZero() {
		if end.Before(start) {
			return 0, nil
		}
		query.Set("endTime", end.Format(time.RFC3339Nano))
	}
	for {
		var page decisionv1.ListDecisionsResponse
		_, err := f.client.get(ctx, pathOf(namespace, name)+"/decisions", query, "decisions", &page)
		var refused refusedError
		switch {
		case errors.As(err, &refused) && refused.status == http.StatusNotFound:
			return n, nil // another instance's store, or one that was emptied
		case err != nil:
			return n, fmt.Errorf("read the history of %s/%s: %w", namespace, name, err)
		}
		for _, d := range page.Decisions {
			if uid != "" && d.AutoscalerUid != uid {
				continue
			}
			isNews, err := f.decided(d)
			if err != nil {
				return n, err
			}
			if isNews {
				n++
			}
		}
		if page.NextPageToken == "" {
			return n, nil
		}
		query.Set("pageToken", page.NextPageToken)
	}
}
