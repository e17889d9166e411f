package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/whatif"
)

// domain is whose reasons those in an ErrorInfo are.
const domain = "flyball.dev"

// The reasons of an ErrorInfo. Those of a window without a usable value are its state in capitals.
const (
	reasonNotReady     = "NOT_READY"      // nothing has been decided since the start
	reasonStopping     = "STOPPING"       // the server stops
	reasonInvalidField = "INVALID_FIELD"  // the BadRequest says which
	reasonNoAutoscaler = "NO_AUTOSCALER"  // none of that name is decided for
	reasonNoSource     = "NO_SOURCE"      // the autoscaler has no such source
	reasonNoRecord     = "NO_RECORD"      // no decision is recorded, or none at or before that time
	reasonDelegated    = "DELEGATED"      // strategy HPA: a native HorizontalPodAutoscaler measures
	reasonNotNumber    = "NOT_NUMBER"     // the window's value is not finite
	reasonUnevaluated  = "ERROR"          // the source could not be evaluated
	reasonDeadline     = "DEADLINE"       // it took longer than the client, or 30 s, allow
	reasonInternal     = "INTERNAL_ERROR" // flyball's fault; its log has more
)

// fail makes a status with an ErrorInfo; about is pairs of metadata.
func fail(code codes.Code, reason, message string, about ...string) error {
	return detailed(code, reason, message, about)
}

// invalid says which field of a request is wrong.
func invalid(field, format string, args ...any) error {
	problem := fmt.Sprintf(format, args...)
	return detailed(codes.InvalidArgument, reasonInvalidField, field+": "+problem, []string{"field", field}, &errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: utf8(field), Description: utf8(problem)}},
	})
}

func detailed(code codes.Code, reason, message string, about []string, more ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: map[string]string{}}
	for i := 0; i+1 < len(about); i += 2 {
		info.Metadata[about[i]] = utf8(about[i+1])
	}
	st, err := status.New(code, utf8(message)).WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil {
		panic("BUG: an error's details can't be encoded: " + err.Error())
	}
	return st.Err()
}

// utf8 makes text fit for a message: an error may quote whatever an exporter or a file had in it.
func utf8(s string) string { return strings.ToValidUTF8(s, "�") }

// statusOf finds the code of an error that is no status yet.
func statusOf(err error) error {
	var problem *whatif.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problem):
		return invalid(problem.Field, "%s", problem.Problem)
	case errors.Is(err, loop.ErrNoRecord):
		return fail(codes.NotFound, reasonNoRecord, err.Error())
	case errors.Is(err, board.ErrToken):
		return invalid("resume_token", "%s", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fail(codes.DeadlineExceeded, reasonDeadline, err.Error())
	case errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return fail(codes.Internal, reasonInternal, err.Error())
}
