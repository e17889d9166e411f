package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

const (
	// longSilence is three heartbeats: a stream that says nothing for as long is lost, whatever TCP thinks of it.
	longSilence = 30 * time.Second
	maxLine     = 4 << 20
)

var errSilent = errors.New("not even a heartbeat came")

// Watch tells of events until the stream ends, which is an error always. The http.Client must have no timeout. Token is where to
// begin, or empty; it is moved on with each event, so that the next Watch goes on after it.
func (c *Client) Watch(ctx context.Context, namespace, name string, token *string, tell func(*decisionv1.WatchDecisionsResponse) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := time.AfterFunc(c.silence, func() { cancel(errSilent) })
	defer lost.Stop()
	query := url.Values{}
	for key, value := range map[string]string{"namespace": namespace, "name": name, "resumeToken": *token} {
		if value != "" {
			query.Set(key, value)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+root+"watch?"+query.Encode(), nil)
	if err != nil {
		return c.unreached(err)
	}
	resp, err := c.http.Do(req)
	if errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	if err != nil {
		return c.unreached(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		lost.Reset(c.silence)
		event, err := c.event(resp.StatusCode, lines.Bytes())
		if err != nil {
			return err
		}
		if err := tell(event); err != nil {
			return err
		}
		*token = event.GetResumeToken()
	}
	switch err := lines.Err(); {
	case errors.Is(context.Cause(ctx), errSilent):
		return c.unreached(errSilent)
	case err != nil:
		return c.unreached(err)
	}
	return c.unreached(errors.New("the stream ended"))
}

// event reads a line of a watch: {"result": …}, or in the end {"error": …}; of a watch that is refused, a google.rpc.Status.
func (c *Client) event(status int, line []byte) (*decisionv1.WatchDecisionsResponse, error) {
	var said struct{ Result, Error json.RawMessage }
	err := json.Unmarshal(line, &said)
	switch {
	case status != http.StatusOK:
		return nil, c.refused(status, line)
	case err == nil && said.Error != nil:
		return nil, c.refused(status, said.Error)
	case err != nil || said.Result == nil:
		return nil, c.stranger(status)
	}
	var event decisionv1.WatchDecisionsResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(said.Result, &event); err != nil {
		return nil, fmt.Errorf("read an event of the watch: %w", err)
	}
	return &event, nil
}
