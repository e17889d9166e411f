package actuator

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/flyball/flyball/decider"
)

// request is what was being done when it failed.
type request string

const (
	wrote request = "write of its scale"
	read  request = "read after a conflict"

	wroteHPA request = "write of its HorizontalPodAutoscaler"
)

// failure is the outcome's Why and Detail for an error of the API server or of the way there. What is certain is that the
// API server refused (4xx, but for those that ask for patience); of anything else about a write nobody knows whether it was
// done. It is not sent again: the next decision reads the target and starts from what is there.
func failure(err error, r request) (why, detail string) {
	detail = fmt.Sprintf("%s: %v", r, err)
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return decider.Unreachable, detail + unsettled(r)
	}
	switch code := status.Status().Code; {
	case code == http.StatusNotFound:
		return decider.TargetGone, detail
	case code == http.StatusTooManyRequests:
		return decider.Unreachable, detail + "; nothing was written"
	case code >= 400 && code < 500 && code != http.StatusRequestTimeout && !errors.Is(err, context.DeadlineExceeded):
		return decider.Refused, detail
	}
	return decider.Unreachable, detail + unsettled(r)
}

func unsettled(r request) string {
	if r == read {
		return "; nothing was written"
	}
	return "; whether it was written is unknown, and the next decision reads it"
}
