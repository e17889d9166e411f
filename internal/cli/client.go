package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/rpc"
)

const (
	// DefaultServer is where run and demo listen unless told otherwise.
	DefaultServer = "http://127.0.0.1:8090"

	callWait = 10 * time.Second
	// maxAnswer bounds what is read of an answer. A page of 1000 autoscalers takes at most 10 MB.
	maxAnswer = 32 << 20
	pageSize  = "1000" // the most that the API gives
)

// client asks one flyball over its JSON API.
type client struct {
	http    *http.Client
	base    string   // the URL that the API is below
	service *service // through the API server's proxy; nil when asked directly
}

// direct asks the flyball at an address.
func direct(address string) (*client, error) {
	u, err := url.Parse(address)
	if err == nil && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		err = fmt.Errorf("%q is no URL of a server", address)
	}
	if err != nil {
		return nil, fmt.Errorf("--server: %w; give something like %s", err, DefaultServer)
	}
	return &client{http: http.DefaultClient, base: strings.TrimSuffix(address, "/")}, nil
}

// unreachedError says that nobody answered.
type unreachedError struct {
	error
	hint string
}

func (e unreachedError) Error() string { return e.error.Error() + "; " + e.hint }
func (e unreachedError) Unwrap() error { return e.error }

// refusedError is an answer that is not what was asked for.
type refusedError struct {
	status int // of HTTP
	text   string
}

func (e refusedError) Error() string { return e.text }

// open starts a call. Its body is the caller's to close. The error is unreachedError or refusedError.
func (c *client) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	target := c.base + "/api/decision/v1/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, fmt.Errorf("--server: %w; give something like %s", err, DefaultServer)
	}
	req.Header.Set("User-Agent", "flyball")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachedError{err, c.hint()}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, unreachedError{err, c.hint()}
	}
	return nil, c.refused(resp, body)
}

// get calls and reads the answer, which must have a key: what somebody else says with 200 must not read as an empty fleet. It gives
// the server's clock in whole seconds, so that ages need no agreement between two machines' clocks.
func (c *client) get(ctx context.Context, path string, query url.Values, key string, into proto.Message) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	resp, err := c.open(ctx, path, query)
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return time.Time{}, unreachedError{fmt.Errorf("read the answer of %s: %w", c.base, err), c.hint()}
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(body, &keys) != nil || keys[key] == nil || decode(body, into) != nil {
		return time.Time{}, c.stranger(resp)
	}
	return clockOf(resp), nil
}

// clockOf is the server's clock as it answered, or this machine's if it does not say.
func clockOf(resp *http.Response) time.Time {
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

func decode(data []byte, into proto.Message) error {
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, into)
}

// refused says what an answer other than 200 means. It is flyball's google.rpc.Status, the API server's Status, or a stranger's.
func (c *client) refused(resp *http.Response, body []byte) error {
	var said struct {
		Kind    string
		Code    int
		Message string
	}
	switch {
	case json.Unmarshal(body, &said) != nil || said.Code == 0 || said.Message == "":
		return c.stranger(resp)
	case said.Kind == "Status" && c.service != nil:
		return refusedError{resp.StatusCode, said.Message + "; " + c.service.advice(resp.StatusCode)}
	}
	return refusedError{resp.StatusCode, said.Message}
}

func (c *client) stranger(resp *http.Response) error {
	flag := "--server its address"
	if c.service != nil {
		flag = "--flyball-service its Service"
	}
	return refusedError{resp.StatusCode, fmt.Sprintf("%s answers %s, and not as flyball does; is %s?", c.base, resp.Status, flag)}
}

func (c *client) hint() string {
	if c.service != nil {
		return "this is the Kubernetes API server: check --context and --kubeconfig, or reach flyball itself with --server"
	}
	return "give the address of a running flyball as --server"
}

// list gives all autoscalers of a namespace, or of all, and the server's clock.
func (c *client) list(ctx context.Context, namespace string) (*decisionv1.ListAutoscalersResponse, time.Time, error) {
	all, query := &decisionv1.ListAutoscalersResponse{}, url.Values{"pageSize": {pageSize}, "namespace": {namespace}}
	for {
		var page decisionv1.ListAutoscalersResponse
		now, err := c.get(ctx, "autoscalers", query, "autoscalers", &page)
		if err != nil {
			return nil, time.Time{}, err
		}
		all.Autoscalers = append(all.Autoscalers, page.Autoscalers...)
		if page.NextPageToken == "" {
			return all, now, nil
		}
		query.Set("pageToken", page.NextPageToken)
	}
}

// pathOf is where the API has an autoscaler.
func pathOf(namespace, name string) string {
	return "autoscalers/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
}

// oneLine is a message in the API's own JSON, without blanks: protojson puts them in at random.
func oneLine(m proto.Message) ([]byte, error) {
	data, err := rpc.JSON.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func writeJSON(w io.Writer, m proto.Message) error {
	data, err := oneLine(m)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// final says whether asking again is of no use: flyball or the API server answered, and the fault is in the question.
func final(err error) bool {
	var refused refusedError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return refused.status < 500
}
