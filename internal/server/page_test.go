package server

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page has its own paths and no others: a route that is misspelt is not answered with a page.
func TestThePageTakesNothingFromTheAPI(t *testing.T) {
	s := newTestServer(t)
	paths := []string{"/", "/static/app.js", "/decisions/1", "/metrics", "/healthz", "/api/decision/v1/none", "/api/v1/none", "/none"}
	before := map[string]int{}
	for _, path := range paths {
		before[path], _ = get(t, s, path)
	}
	require.Equal(t, map[string]int{
		"/": 404, "/static/app.js": 404, "/decisions/1": 404, "/metrics": 200, "/healthz": 200, "/api/decision/v1/none": 200, "/api/v1/none": 404, "/none": 404,
	}, before)

	s.Page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	s.Paths = []string{"GET /{$}", "GET /static/", "GET /decisions/{id}"}
	for _, path := range paths {
		code, body := get(t, s, path)
		if path == "/" || path == "/static/app.js" || path == "/decisions/1" {
			require.Equal(t, http.StatusOK, code, path)
			require.Equal(t, "page", body, path)
			continue
		}
		require.Equal(t, before[path], code, path)
		require.NotEqual(t, "page", body, path)
	}
}
