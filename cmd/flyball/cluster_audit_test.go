package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// request is a line of the API server's audit log: what somebody asked, and what the answer was.
type request struct {
	Verb   string
	Stage  string
	User   struct{ Username string } `json:"impersonatedUser"` // the control plane's clients act as others by impersonation
	Object struct {
		Resource, Subresource, Namespace, Name, APIGroup string
	} `json:"objectRef"`
	URI      string             `json:"requestURI"`
	Agent    string             `json:"userAgent"`
	Response struct{ Code int } `json:"responseStatus"`
	Received time.Time          `json:"requestReceivedTimestamp"`
	Body     json.RawMessage    `json:"requestObject"`
}

// what names the request without the object: update deployments/scale.
func (r request) what() string {
	resource := r.Object.Resource
	if resource == "" {
		return r.Verb + " " + strings.SplitN(r.URI, "?", 2)[0]
	}
	if r.Object.Subresource != "" {
		resource += "/" + r.Object.Subresource
	}
	return r.Verb + " " + resource
}

// requests are those that the users have made since then, in order.
func (c *cluster) requests(since time.Time, users ...string) []request {
	c.t.Helper()
	f, err := os.Open(c.cp.AuditLog())
	require.NoError(c.t, err)
	defer f.Close()
	var out []request
	for log := bufio.NewReader(f); ; {
		line, err := log.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // a line without an end is still being written; whoever waits for it looks again
		}
		require.NoError(c.t, err)
		var r request
		require.NoError(c.t, json.Unmarshal(line, &r))
		if slices.Contains(users, r.User.Username) && r.Received.After(since) {
			out = append(out, r)
		}
	}
	require.NotEmpty(c.t, out, "an instance that is alive renews or reads the Lease every 2 s: is the audit log read right?")
	return out
}

// tally counts requests by what they are, but for those that keep the Lease and that ask what is served.
func tally(requests []request) map[string]int {
	out := map[string]int{}
	for _, r := range requests {
		if r.Object.Resource != "leases" && !strings.HasPrefix(r.URI, "/openapi") && !isDiscovery(r) {
			out[r.what()]++
		}
	}
	return out
}

func isDiscovery(r request) bool { return r.Object.Resource == "" && r.Verb == "get" }

func describe(t map[string]int) string {
	var out []string
	for what, n := range t {
		out = append(out, fmt.Sprintf("%d × %s", n, what))
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}
