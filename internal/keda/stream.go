package keda

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flyball/flyball/api/externalscaler"
	"github.com/flyball/flyball/internal/loop"
)

// StreamIsActive says at once whether any replica is wanted, or as soon as that is known, and then when it changes. KEDA
// takes each true for new activity, which puts off scaling to zero, so it is said once for each activation; false it ignores.
func (s *Scaler) StreamIsActive(ref *externalscaler.ScaledObjectRef, stream grpc.ServerStreamingServer[externalscaler.IsActiveResponse]) error {
	var told *externalscaler.IsActiveResponse
	return s.follow(stream.Context(), ref, func(t trigger, r loop.Result) (bool, error) {
		if t.blind(r, s.Now()) != nil {
			return false, nil
		}
		now := &externalscaler.IsActiveResponse{Result: active(r)}
		if told != nil && told.GetResult() == now.GetResult() {
			return true, nil
		}
		told = now
		return true, stream.Send(now)
	})
}

// StreamMetricSpec gives the metrics and their targets at once, and again when they change.
func (s *Scaler) StreamMetricSpec(ref *externalscaler.ScaledObjectRef, stream grpc.ServerStreamingServer[externalscaler.GetMetricSpecResponse]) error {
	var told *externalscaler.GetMetricSpecResponse
	return s.follow(stream.Context(), ref, func(t trigger, r loop.Result) (bool, error) {
		now := specs(t.metrics(r))
		if told != nil && proto.Equal(told, now) {
			return true, nil
		}
		told = now
		return true, stream.Send(now)
	})
}

// follow lets tell look at the latest result, whenever it may have changed, for as long as the client stays and the server
// runs. While tell can't see what it needs to, and while the autoscaler is gone, each tick brings another look: the end of a
// blind phase is no change of the decision, so nothing announces it.
//
// A stream that the server ends is ended without an error: KEDA then asks again after 2 s. After an error it waits twice as
// long as after the one before, up to a minute, however long the stream has lived.
func (s *Scaler) follow(ctx context.Context, ref *externalscaler.ScaledObjectRef, tell func(trigger, loop.Result) (bool, error)) error {
	t, _, err := s.find(ref)
	if err != nil {
		return err
	}
	watch, err := s.Results.Watch(t.namespace, t.autoscaler, "")
	if err != nil {
		return fmt.Errorf("follow %s: %w", t.about(), err)
	}
	defer watch.Close()
	for {
		r, err := s.result(t)
		sees := false
		switch {
		case err == nil:
			sees, err = tell(t, r)
		case status.Code(err) == codes.NotFound:
			err = nil
		}
		if err != nil {
			return err
		}
		wait, cancel := ctx, context.CancelFunc(func() {})
		if !sees {
			wait, cancel = context.WithTimeout(ctx, s.Tick)
		}
		_, err = watch.Next(wait)
		over := wait.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !over:
			return fail(codes.Unavailable, reasonNotReady, t.about(), "its results can not be followed: %v", err)
		}
	}
}
