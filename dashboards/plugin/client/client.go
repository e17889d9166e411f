package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	// Example is where run and demo listen unless told otherwise.
	Example = "http://127.0.0.1:8090"

	// maxAnswer bounds what is read of an answer. A page of 1000 autoscalers takes at most 10 MB.
	maxAnswer = 32 << 20
	maxPage   = 1000 // the most that the API gives
	root      = "/api/decision/v1/"
)

// Client asks one flyball, for one purpose: it remembers what it asked.
type Client struct {
	http *http.Client
	base string // the URL that the API is below

	silence time.Duration // after which a watch counts as lost

	mu    sync.Mutex
	asked []string
}

// New makes a client. The error says what is wrong with the address.
func New(h *http.Client, address string) (*Client, error) {
	address = strings.TrimSuffix(strings.TrimSpace(address), "/")
	if address == "" {
		return nil, fmt.Errorf("the URL is missing; give flyball's HTTP address, such as %s", Example)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("URL: %q is no address of a server; give flyball's HTTP address, such as %s", address, Example)
	}
	return &Client{http: h, base: address, silence: longSilence}, nil
}

// Base is the address without a slash at its end.
func (c *Client) Base() string { return c.base }

// Asked lists what was asked, a line each, sorted. Of what came in pages the first is named.
func (c *Client) Asked() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := slices.Clone(c.asked)
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

func (c *Client) note(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, line)
}

// question is one request. Its answer must have the key: what somebody else says with 200 must not read as an empty fleet.
type question struct {
	path  string
	query url.Values
	body  proto.Message // nil: GET
	key   string
}

// ask sends a question and reads the answer. The error is *Error, or that of a context that has ended.
func (c *Client) ask(ctx context.Context, q question, into proto.Message) error {
	body, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(body, &keys) != nil || keys[q.key] == nil ||
		(protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, into) != nil {
		return c.stranger(http.StatusOK)
	}
	return nil
}

// send gives the body of a 200.
func (c *Client) send(ctx context.Context, q question) ([]byte, error) {
	method, path := http.MethodGet, q.path
	var payload []byte
	if q.body != nil {
		method = http.MethodPost
		var err error
		if payload, err = compact(q.body); err != nil {
			return nil, fmt.Errorf("say the question in JSON: %w", err)
		}
	}
	if len(q.query) > 0 {
		path += "?" + q.query.Encode()
	}
	if !q.query.Has("pageToken") {
		c.note(strings.TrimSpace(method + " " + path + " " + string(payload)))
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return nil, c.unreached(err)
	}
	req.Header.Set("User-Agent", "flyball-datasource")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreached(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.unreached(err)
	case len(body) > maxAnswer:
		return nil, &Error{HTTP: resp.StatusCode, Text: fmt.Sprintf("the answer has more than %d MiB; ask for a shorter time", maxAnswer>>20)}
	case resp.StatusCode != http.StatusOK:
		return nil, c.refused(resp.StatusCode, body)
	}
	return body, nil
}

// compact is a message in JSON without blanks: protojson puts them in at random.
func compact(m proto.Message) ([]byte, error) {
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// pathOf is where the API has something of an autoscaler.
func pathOf(namespace, name, what string) string {
	return root + "autoscalers/" + url.PathEscape(namespace) + "/" + url.PathEscape(name) + "/" + what
}

func pageSize(left int) string { return strconv.Itoa(min(left, maxPage)) }
