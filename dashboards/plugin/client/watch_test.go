package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

func TestAWatchGoesOnWhereItEnded(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		if len(asked) == 1 {
			fmt.Fprintln(w, `{"result": {"decision": {"to": 3}, "resumeToken": "one"}}`)
			fmt.Fprintln(w, `{"result": {"heartbeat": {}, "resumeToken": "two"}}`)
			fmt.Fprintln(w, `{"error": {"code": 14, "message": "flyball is stopping"}}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"code": 3, "message": "resume_token: it is none"}`)
	}))
	defer s.Close()
	c, err := New(s.Client(), s.URL)
	require.NoError(t, err)
	token, told := "", 0
	watch := func() error {
		return c.Watch(context.Background(), "a", "", &token, func(*decisionv1.WatchDecisionsResponse) error { told++; return nil })
	}
	require.ErrorContains(t, watch(), "flyball: flyball is stopping; ask again in a few seconds")
	require.Equal(t, 2, told)
	require.ErrorContains(t, watch(), "resume_token: it is none")
	require.Equal(t, []string{root + "watch?namespace=a", root + "watch?namespace=a&resumeToken=two"}, asked)
}

func TestAWatchThatFallsSilentIsLost(t *testing.T) {
	for name, first := range map[string]string{"after an event": `{"result": {"heartbeat": {}}}` + "\n", "from the beginning": ""} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if first != "" {
					fmt.Fprint(w, first)
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}))
			defer s.Close()
			c, err := New(s.Client(), s.URL)
			require.NoError(t, err)
			c.silence = 100 * time.Millisecond
			token := ""
			err = c.Watch(context.Background(), "", "", &token, func(*decisionv1.WatchDecisionsResponse) error { return nil })
			require.ErrorContains(t, err, "not even a heartbeat came")
		})
	}
}

func TestAWatchEndsWhenNobodyListens(t *testing.T) {
	c := answering(t, http.StatusOK, map[string]string{"*": `{"result": {"decision": {"to": 3}}}` + "\n"})
	token, gone := "", errors.New("gone")
	require.ErrorIs(t, c.Watch(context.Background(), "", "", &token, func(*decisionv1.WatchDecisionsResponse) error { return gone }), gone)
	require.Empty(t, token)
	c = answering(t, http.StatusOK, map[string]string{"*": "<html>\n"})
	require.ErrorContains(t, c.Watch(context.Background(), "", "", &token, nil), "not as flyball does")
}
