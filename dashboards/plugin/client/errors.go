package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
)

// Error is an answer that is not what was asked for, or none.
type Error struct {
	HTTP int        // 0: nobody answered
	Code codes.Code // of flyball's answer; Unknown when it is not flyball that answered
	Text string     // what is wrong, and what to do
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Missing says whether flyball has no such thing.
func Missing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == codes.NotFound
}

// unreached says that nobody answered, or not to the end. That a context ended is no fault of the other side and stays as it is.
func (c *Client) unreached(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &Error{Code: codes.Unknown, Text: fmt.Sprintf(
		"flyball does not answer at %s: %s; check that it runs, and that the data source's URL is its HTTP address (--listen) as Grafana's server reaches it", c.base, err)}
}

// refused says what an answer other than 200 means. It is flyball's google.rpc.Status, or a stranger's.
func (c *Client) refused(status int, body []byte) error {
	var said struct {
		Code    codes.Code
		Message string
	}
	if json.Unmarshal(body, &said) != nil || said.Code == codes.OK || said.Message == "" {
		return c.stranger(status)
	}
	e := &Error{HTTP: status, Code: said.Code, Text: "flyball: " + said.Message}
	switch said.Code {
	case codes.Unimplemented:
		e.Text = fmt.Sprintf("this flyball cannot do that: %s; run a newer one", said.Message)
	case codes.Unavailable:
		e.Text += "; ask again in a few seconds"
	}
	return e
}

func (c *Client) stranger(status int) error {
	hint := "is the data source's URL flyball's HTTP address (--listen), without a path?"
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		hint = "if something that asks for credentials stands before flyball, set them in the data source"
	}
	return &Error{HTTP: status, Code: codes.Unknown, Text: fmt.Sprintf("%s answers %d %s, and not as flyball does; %s", c.base, status, http.StatusText(status), hint)}
}
